// The curves of both runs on one another: one metric of one step.
import { Flex, NativeSelect, Switch } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Block, Section } from "@/ui";
import { Chart } from "@/ui/chart";
import { averageOf, curvesQuery, pointsOf, SMOOTHING } from "./queries";

const FIRST = ["loss", "eval_loss", "reward", "grad_norm", "learning_rate"];
const HEIGHT = 280;

export interface CurvesProps {
  one: string;
  other: string;
  /** Steps of both runs that train. */
  steps: readonly string[];
}

export function CompareCurves({ one, other, steps }: CurvesProps) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState("");
  const [key, setKey] = useState("");
  const [log, setLog] = useState(false);
  const step = steps.includes(chosen) ? chosen : (steps[0] ?? "");
  const [left, right] = [useQuery(curvesQuery(one, step)), useQuery(curvesQuery(other, step))];
  const known = [...new Set([...Object.keys(left.data?.curves ?? {}), ...Object.keys(right.data?.curves ?? {})])];
  const keys = [
    ...FIRST.filter((name) => known.includes(name)),
    ...known.filter((name) => !FIRST.includes(name)).sort(),
  ];
  const metric = keys.includes(key) ? key : (keys[0] ?? "");
  const isLoading = left.isLoading || right.isLoading;
  if (!steps.length || (!isLoading && !keys.length)) return null;
  const series = [
    { run: one, colour: 1, curve: left.data?.curves[metric] },
    { run: other, colour: 2, curve: right.data?.curves[metric] },
  ].flatMap(({ run, colour, curve }) =>
    curve ? [{ key: run, label: run, colour, points: pointsOf(curve), average: averageOf(curve) }] : [],
  );
  return (
    <Section
      title={t("compare.curves")}
      description={`${step} · ${metric.replaceAll("_", " ")}`}
      actions={
        <Flex gap={3} align="center" wrap="wrap">
          <Switch.Root size="sm" checked={log} onCheckedChange={(change) => setLog(change.checked)}>
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
                onChange={(event) => setChosen(event.target.value)}
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
              onChange={(event) => setKey(event.target.value)}
            >
              {keys.map((name) => (
                <option key={name} value={name}>
                  {name.replaceAll("_", " ")}
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
        <Chart label={`${metric}: ${one}, ${other}`} series={series} log={log} smoothing={SMOOTHING} height={HEIGHT} />
      )}
    </Section>
  );
}
