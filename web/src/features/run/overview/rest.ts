// The measures of a step that are shown by their names.
import { PARTS, scoresOf } from "@/features/models/scores";

/** The measures that no table of scores has. */
export function restOf(metrics: Record<string, unknown>, isScored: boolean): [string, unknown][] {
  const names = isScored ? scoresOf(metrics).map((one) => one.name) : [];
  const isOfTable = (key: string) => names.some((name) => key === name || PARTS.some((part) => key === name + part));
  return Object.entries(metrics).filter(([key, value]) => typeof value !== "object" && !isOfTable(key));
}
