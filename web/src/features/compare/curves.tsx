// The curves of both runs on one another: one metric of one step.

import { Flex, NativeSelect, Switch } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { measureName } from "@/i18n/names";
import { Block, Section } from "@/ui";
import { Chart, smoothingFor } from "@/ui/chart";
import { averageOf, curvesQuery, pointsOf, runName } from "./queries";
import type { CompareSearch } from "./search";

const FIRST = ["loss", "eval_loss", "reward", "grad_norm", "learning_rate"];
const HEIGHT = 280;

export interface CurvesProps {
  one: string;
  other: string;
  /** Steps of both runs that train. */
  steps: readonly string[];
  /** How many points the longer curve of a step has. */
  pointsOf: (step: string) => number;
  look: CompareSearch;
  onLook: (look: CompareSearch) => void;
}

export function CompareCurves({ one, other, steps, pointsOf: countOf, look, onLook }: CurvesProps) {
  const { t } = useTranslation();
  const { log = false } = look;
  const step = steps.find((name) => name === look.step) ?? steps[0] ?? "";
  const smoothing = smoothingFor(countOf(step));
  const [left, right] = [useQuery(curvesQuery(one, step, smoothing)), useQuery(curvesQuery(other, step, smoothing))];
  const known = [...new Set([...Object.keys(left.data?.curves ?? {}), ...Object.keys(right.data?.curves ?? {})])];
  const keys = [
    ...FIRST.filter((name) => known.includes(name)),
    ...known.filter((name) => !FIRST.includes(name)).sort(),
  ];
  const metric = keys.find((key) => key === look.metric) ?? keys[0] ?? "";
  const isLoading = left.isLoading || right.isLoading;
  if (!steps.length || (!isLoading && !keys.length)) return null;
  const series = [
    { run: one, colour: 1, curve: left.data?.curves[metric] },
    { run: other, colour: 2, curve: right.data?.curves[metric] },
  ].flatMap(({ run, colour, curve }) =>
    curve
      ? [
          {
            key: run,
            label: runName(run),
            colour,
            points: pointsOf(curve),
            ...(smoothing > 0 && { average: averageOf(curve, smoothing) }),
          },
        ]
      : [],
  );
  return (
    <Section
      title={t("compare.curves")}
      description={`${step} · ${measureName(metric)}`}
      actions={
        <Flex gap={3} align="center" wrap="wrap">
          <Switch.Root
            size="sm"
            checked={log}
            onCheckedChange={(change) => onLook({ log: change.checked || undefined })}
          >
            <Switch.HiddenInput />
            <Switch.Control />
            <Switch.Label textStyle="small" color="fg.muted" fontWeight="normal">
              {t("compare.log")}
            </Switch.Label>
          </Switch.Root>
          {steps.length > 1 && (
            <NativeSelect.Root size="xs" width="120px">
              <NativeSelect.Field
                aria-label={t("compare.step")}
                value={step}
                onChange={(event) => onLook({ step: event.target.value })}
              >
                {steps.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </NativeSelect.Field>
              <NativeSelect.Indicator />
            </NativeSelect.Root>
          )}
          <NativeSelect.Root size="xs" width="150px">
            <NativeSelect.Field
              aria-label={t("compare.metric")}
              value={metric}
              onChange={(event) => onLook({ metric: event.target.value })}
            >
              {keys.map((name) => (
                <option key={name} value={name}>
                  {measureName(name)}
                </option>
              ))}
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
        </Flex>
      }
    >
      {isLoading ? (
        <Block height={HEIGHT} />
      ) : (
        <Chart
          label={`${metric}: ${runName(one)}, ${runName(other)}`}
          series={series}
          log={log}
          smoothing={smoothing}
          height={HEIGHT}
        />
      )}
    </Section>
  );
}
