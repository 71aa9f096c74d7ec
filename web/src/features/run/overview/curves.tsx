// All curves of a step: one large, the others small; they zoom and are read together.

import { Box, Button, Flex, Grid, IconButton, NativeSelect, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { TFunction } from "i18next";
import { RotateCcw, Table2 } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { measureName } from "@/i18n/names";
import { count, Section } from "@/ui";
import { type Average, Chart, type Range, smoothingFor } from "@/ui/chart";
import { averagesQuery, curvesQuery, type RunName, type RunStep, type StepName } from "../api";
import { isNoisy, type Panel, panelsOf, spikesOf } from "../curves";
import type { LiveStep } from "../live";

const SMOOTHINGS = ["0", "0.6", "0.9", "0.97", "0.99"] as const;
const KEPT = "burnish.curves";
const FEW = 4;

interface Look {
  /** null is by the number of steps: an average over many of few steps would lag behind. */
  smoothing: number | null;
  log: boolean;
}

function keptLook(): Look {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Partial<Look>;
    return { smoothing: typeof kept.smoothing === "number" ? kept.smoothing : null, log: kept.log === true };
  } catch {
    return { smoothing: null, log: false };
  }
}

/** Of the curves that were thinned: their averages, null until they have come. */
function useAverages(name: StepName, smoothing: number): Record<string, Average | null> {
  const thinned = useQuery(curvesQuery(name)).data?.thinned ?? NONE;
  const found = useQuery(averagesQuery(name, thinned.length > 0, smoothing)).data;
  return useMemo(() => Object.fromEntries(thinned.map((key) => [key, found?.[key] ?? null])), [thinned, found]);
}

const NONE: string[] = [];

export interface CurvesProps {
  name: RunName;
  step: RunStep;
  live: LiveStep;
  picked: number | null;
}

export function Curves({ name, step, live, picked }: CurvesProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [look, setLook] = useState(keptLook);
  const [range, setRange] = useState<Range | null>(null);
  const [asTable, setAsTable] = useState(false);
  const [showsAll, setShowsAll] = useState(false);
  useEffect(() => localStorage.setItem(KEPT, JSON.stringify(look)), [look]);
  const smoothing = look.smoothing ?? smoothingFor(panelsOf(live.curves)[0]?.series[0]?.points.steps.length ?? 0);
  const averages = useAverages({ ...name, step: step.step }, smoothing);
  const panels = useMemo(() => panelsOf(live.curves, averages), [live.curves, averages]);
  const loss = live.curves.loss;
  const spikes = useMemo(() => (loss ? spikesOf(loss) : []), [loss]);
  const [main, ...others] = panels;
  if (!main) return null;
  const shown = showsAll ? others : others.slice(0, FEW);
  const pick = (at: number) =>
    void navigate({
      to: "/runs/$recipe/$number",
      params: name,
      search: { step: step.step, tab: "rows", at },
      resetScroll: false,
    });
  const common = {
    range,
    onRange: setRange,
    syncKey: `${step.run}`,
    checkpoints: live.checkpoints,
    picked,
    onPick: pick,
    offer: (at: number) => t("run.readRows", { step: count(at) }),
  };
  return (
    <>
      <Section
        title={titleOf(main, t)}
        flush
        actions={
          <Flex gap={1.5} align="center" wrap="wrap">
            <Button
              size="xs"
              variant="ghost"
              color="fg.muted"
              visibility={range ? "visible" : "hidden"}
              display={range ? "inline-flex" : { base: "none", md: "inline-flex" }}
              onClick={() => setRange(null)}
            >
              <RotateCcw size={13} aria-hidden />
              {t("run.resetZoom")}
            </Button>
            <NativeSelect.Root size="xs" width="auto">
              <NativeSelect.Field
                aria-label={t("run.smoothing")}
                value={String(look.smoothing ?? "auto")}
                onChange={(event) =>
                  setLook({ ...look, smoothing: event.target.value === "auto" ? null : Number(event.target.value) })
                }
              >
                <option value="auto">{t("run.autoSmoothing")}</option>
                {SMOOTHINGS.map((one) => (
                  <option key={one} value={one}>
                    {one === "0" ? t("run.noSmoothing") : t("run.ema", { value: one })}
                  </option>
                ))}
              </NativeSelect.Field>
              <NativeSelect.Indicator />
            </NativeSelect.Root>
            <Button
              size="xs"
              variant={look.log ? "subtle" : "outline"}
              aria-pressed={look.log}
              onClick={() => setLook({ ...look, log: !look.log })}
            >
              {t("run.log")}
            </Button>
            <IconButton
              size="xs"
              variant={asTable ? "subtle" : "outline"}
              aria-pressed={asTable}
              aria-label={t("run.asTable")}
              title={t("run.asTable")}
              onClick={() => setAsTable(!asTable)}
            >
              <Table2 size={14} />
            </IconButton>
          </Flex>
        }
      >
        <Box pt={3} pb={2}>
          <Chart
            label={t("run.chartOf", { what: titleOf(main, t) })}
            series={main.series}
            smoothing={smoothing}
            log={look.log}
            height={280}
            asTable={asTable}
            {...common}
          />
        </Box>
        <Flex
          px={{ base: 4, md: 5 }}
          pb={3}
          gap={4}
          rowGap={1}
          wrap="wrap"
          textStyle="caption"
          color="fg.subtle"
          minH="28px"
          align="center"
        >
          {live.checkpoints.length > 0 && (
            <Flex as="span" align="center" gap={1.5}>
              <Box as="span" boxSize="6px" bg="border.emphasized" transform="rotate(45deg)" />
              {t("run.checkpoints", { count: live.checkpoints.length })}
            </Flex>
          )}
          {spikes.length > 0 && (
            <Flex as="span" align="center" gap={1.5} wrap="wrap">
              {t("run.spikes")}
              {spikes.slice(0, 6).map((at) => (
                <Button
                  key={at}
                  size="2xs"
                  variant="outline"
                  onClick={() => pick(at)}
                  fontVariantNumeric="tabular-nums"
                >
                  {count(at)}
                </Button>
              ))}
            </Flex>
          )}
          <Text as="span" hideBelow="md" ms="auto">
            {t("run.chartHint")}
          </Text>
        </Flex>
      </Section>
      {shown.length > 0 && (
        <Grid
          templateColumns={{
            base: "minmax(0, 1fr)",
            md: "repeat(2, minmax(0, 1fr))",
            xl: `repeat(${shown.length === 3 ? 3 : 2}, minmax(0, 1fr))`,
          }}
          gap={{ base: 5, md: 6 }}
        >
          {shown.map((panel) => (
            <Section key={panel.key} title={titleOf(panel, t)} flush>
              <Box pt={3} pb={2}>
                <Chart
                  label={t("run.chartOf", { what: titleOf(panel, t) })}
                  series={panel.series}
                  smoothing={isNoisy(panel) ? smoothing : 0}
                  height={150}
                  asTable={asTable}
                  {...common}
                />
              </Box>
            </Section>
          ))}
        </Grid>
      )}
      {others.length > FEW && (
        <Button size="sm" variant="outline" alignSelf="center" onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? t("run.fewerCurves") : t("run.moreCurves", { count: others.length - FEW })}
        </Button>
      )}
    </>
  );
}

const TITLES = ["loss", "reward", "learning_rate", "grad_norm", "tokens_per_second"] as const;
type Title = (typeof TITLES)[number];

function titleOf(panel: Panel, t: TFunction): string {
  return TITLES.includes(panel.key as Title) ? t(`run.curve.${panel.key as Title}`) : measureName(panel.key);
}
