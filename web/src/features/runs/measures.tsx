// The measures of a run that say most, in a few words: of each evaluation one, and of the trainings the last.

import { Box, Text } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { scoresOf } from "@/features/models/scores";
import { measureName } from "@/i18n/names";
import { measure, signed } from "@/ui";
import { toneOf, useVerdict } from "@/ui/verdict";

const SCORES = ["exact_match", "accuracy", "reward_accuracy", "win_rate", "perplexity"];
const LOSSES = ["last_loss", "eval_loss"];

export interface Measured {
  step: string;
  stage: string | null;
  metrics: Record<string, unknown>;
}

export interface Headline {
  step: string;
  name: string;
  value: number;
  delta: number | null;
  /** What the evaluation found of the difference; empty where it compared nothing. */
  verdict: string;
}

const number = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** One score of each step that has any, in their order, and the last of each kind of loss. */
export function headlines(steps: readonly Measured[]): Headline[] {
  const found = steps.flatMap((step): Headline[] => {
    const { metrics } = step;
    const isIn = (key: string) => number(metrics[key]) !== null;
    const name = SCORES.find(isIn) ?? scoresOf(metrics)[0]?.name ?? LOSSES.find(isIn);
    if (name === undefined) return [];
    const verdict = metrics[`${name}_verdict`];
    return [
      {
        step: step.step,
        name,
        value: number(metrics[name]) ?? 0,
        delta: number(metrics[`${name}_delta`]),
        verdict: typeof verdict === "string" ? verdict : "",
      },
    ];
  });
  const isLoss = (one: Headline) => LOSSES.includes(one.name);
  const losses = new Map(found.filter(isLoss).map((one) => [one.name, one]));
  return [...found.filter((one) => !isLoss(one)), ...losses.values()];
}

/** A difference in the colour of what was found of it; grey without evidence. */
export function DeltaOf({ of: { delta, verdict } }: { of: Headline }) {
  const verdictOf = useVerdict();
  if (delta === null) return null;
  const tone = toneOf(verdict);
  return (
    <Text
      as="span"
      color={tone === "gray" ? "fg.muted" : `${tone}.fg`}
      fontVariantNumeric="tabular-nums"
      title={verdict ? verdictOf(verdict) : undefined}
    >
      {signed(delta)}
    </Text>
  );
}

export function Headlines({ steps }: { steps: readonly Measured[] }) {
  const { t } = useTranslation();
  const found = headlines(steps);
  const nameOf = (one: Headline) => t("runs.ofStep", { name: measureName(one.name), step: one.step });
  return (
    <Text textStyle="small" truncate title={found.map((one) => `${nameOf(one)} ${measure(one.value)}`).join(", ")}>
      {found.map((one, at) => (
        <Box as="span" key={`${one.step} ${one.name}`} ms={at ? 4 : 0}>
          <Box as="span" color="fg.muted">
            {nameOf(one)}{" "}
          </Box>
          {measure(one.value)} <DeltaOf of={one} />
        </Box>
      ))}
    </Text>
  );
}
