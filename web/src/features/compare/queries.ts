// Two runs beside each other: what differs, and their curves.
import { queryOptions } from "@tanstack/react-query";
import { answer, api, type Shape } from "@/api/client";
import type { Average, Points } from "@/ui/chart";

/** [of one, of the other]; a missing value is null. */
export type Difference = [unknown, unknown];

export interface StepDifferences {
  only_in?: string;
  settings?: Record<string, Difference>;
  inputs?: Record<string, Difference>;
  metrics?: Record<string, Difference>;
}

export interface Compared {
  runs: string[];
  steps: Record<string, StepDifferences>;
}

export const comparisonQuery = (one: string, other: string) =>
  queryOptions({
    queryKey: ["runs", "compare", one, other],
    queryFn: async ({ signal }) =>
      (await answer(api.GET("/api/v1/runs/compare", { params: { query: { one, other } }, signal }))) as Compared,
    enabled: Boolean(one && other),
  });

const POINTS = 1_500;

export const curvesQuery = (run: string, step: string, smoothing: number) =>
  queryOptions({
    queryKey: ["runs", run, step, "curves", smoothing],
    queryFn: ({ signal }) => {
      const [recipe = "", number = "0"] = run.split("/");
      return answer(
        api.GET("/api/v1/runs/{recipe}/{number}/{step}/curves", {
          params: {
            path: { recipe, number: Number(number), step },
            query: { points: POINTS, smoothing: smoothing || undefined },
          },
          signal,
        }),
      );
    },
    enabled: Boolean(run && step),
    retry: false,
  });

/** NaN and infinities come as words. */
export const pointsOf = (curve: Shape<"Curve">): Points => ({
  steps: curve.steps,
  values: curve.values.map(Number),
});

/** The average over all points, also over those that were thinned out. */
export const averageOf = (curve: Shape<"Curve">, smoothing: number): Average => ({
  ...pointsOf(curve),
  smoothing,
  smoothed: (curve.smoothed ?? []).map(Number),
  weight: curve.weight ?? 0,
});

export interface MeasureRow {
  step: string;
  name: string;
  one: unknown;
  other: unknown;
  delta: number | null;
}

const BOUND = /_(delta_low|delta_high|low|high)$/;

/** The measures that differ, without the bounds of intervals, which stand beside their measures. */
export function measuresOf(steps: Compared["steps"]): MeasureRow[] {
  return Object.entries(steps).flatMap(([step, { metrics = {} }]) =>
    Object.entries(metrics)
      .filter(([name]) => !BOUND.test(name))
      .map(([name, [one, other]]) => ({
        step,
        name,
        one,
        other,
        delta: typeof one === "number" && typeof other === "number" ? other - one : null,
      })),
  );
}

export interface SettingRow {
  step: string;
  name: string;
  one: unknown;
  other: unknown;
}

export function changesOf(steps: Compared["steps"], part: "settings" | "inputs"): SettingRow[] {
  return Object.entries(steps).flatMap(([step, differences]) =>
    Object.entries(differences[part] ?? {}).map(([name, [one, other]]) => ({ step, name, one, other })),
  );
}

/** The steps that only one run has, by that run. */
export function loneOf(steps: Compared["steps"]): [string, string[]][] {
  const found = new Map<string, string[]>();
  for (const [step, { only_in }] of Object.entries(steps))
    if (only_in) found.set(only_in, [...(found.get(only_in) ?? []), step]);
  return [...found];
}

/** `support-bot/1` as the page calls a run: `support-bot #1`. */
export const runName = (run: string): string => run.replace(/\/(\d+)$/, " #$1");

/** A value as it is read: of several numbers each by its name. */
export function valueText(value: unknown, format: (value: number) => string): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return format(value);
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map((one) => valueText(one, format)).join(", ");
  if (typeof value === "object")
    return Object.entries(value)
      .map(([name, one]) => `${name} ${valueText(one, format)}`)
      .join(", ");
  return String(value);
}
