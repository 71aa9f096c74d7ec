// The scores in the measures of an evaluation: a value, that of what it is compared with, the difference and its interval.
export interface Score {
  name: string;
  value: number;
  base: number | null;
  delta: number | null;
  low: number | null;
  high: number | null;
  verdict: string;
  rows: number | null;
}

/** What stands after the name of a score in the names of its other measures. */
export const PARTS = ["_base", "_delta", "_delta_low", "_delta_high", "_verdict", "_rows"];
const number = (value: unknown): number | null => (typeof value === "number" ? value : null);

export function scoresOf(measures: Record<string, unknown>): Score[] {
  return Object.keys(measures)
    .filter((name) => typeof measures[name] === "number" && PARTS.some((part) => `${name}${part}` in measures))
    .map((name) => ({
      name,
      value: measures[name] as number,
      base: number(measures[`${name}_base`]),
      delta: number(measures[`${name}_delta`]),
      low: number(measures[`${name}_delta_low`]),
      high: number(measures[`${name}_delta_high`]),
      verdict: typeof measures[`${name}_verdict`] === "string" ? (measures[`${name}_verdict`] as string) : "",
      rows: number(measures[`${name}_rows`]),
    }));
}
