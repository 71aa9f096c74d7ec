// The measures of a run that say most, in a few words.
import { Box, Text } from "@chakra-ui/react";
import { measure } from "@/ui";
import type { StepRow } from "./queries";

const FIRST = [
  "exact_match",
  "accuracy",
  "reward_accuracy",
  "win_rate",
  "last_loss",
  "eval_loss",
  "perplexity",
  "rows",
];

export interface Headline {
  step: string;
  name: string;
  value: number;
  delta: number | null;
}

const number = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** One measure for each of the last steps that have any. */
export function headlines(steps: readonly StepRow[], most = 2): Headline[] {
  const found: Headline[] = [];
  for (const step of [...steps].reverse()) {
    const name = FIRST.find((key) => number(step.metrics[key]) !== null);
    if (name === undefined || (name === "rows" && found.length)) continue;
    if (found.some((one) => one.name === name)) continue;
    found.push({
      step: step.step,
      name,
      value: number(step.metrics[name]) ?? 0,
      delta: number(step.metrics[`${name}_delta`]),
    });
  }
  return found.sort((one, other) => FIRST.indexOf(one.name) - FIRST.indexOf(other.name)).slice(0, most);
}

export function Headlines({ steps, most = 2 }: { steps: readonly StepRow[]; most?: number }) {
  return (
    <Text textStyle="small" truncate>
      {headlines(steps, most).map((one, at) => (
        <Box as="span" key={one.name} ms={at ? 4 : 0}>
          <Box as="span" color="fg.muted">
            {one.name.replaceAll("_", " ")}{" "}
          </Box>
          {measure(one.value)}
          {one.delta !== null && (
            <Box as="span" color={one.delta >= 0 ? "success.fg" : "danger.fg"}>
              {" "}
              {one.delta >= 0 ? "+" : "−"}
              {measure(Math.abs(one.delta))}
            </Box>
          )}
        </Box>
      ))}
    </Text>
  );
}
