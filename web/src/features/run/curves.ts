// Which curves stand on one chart, and in which order the charts stand.
import type { Average, ChartSeries, Points } from "@/ui/chart";

export interface Panel {
  key: string;
  series: ChartSeries[];
}

/** What a reader looks at first. Others follow by name. */
const FIRST = ["loss", "reward", "accuracy", "margin", "kl", "learning_rate", "grad_norm", "tokens_per_second"];
/** What is shown as a number or a bar, and not as a curve. */
const NEVER = new Set(["eta_seconds", "epoch", "learned_tokens"]);
const AVERAGED = new Set(["learning_rate"]);

const rank = (key: string) => {
  const at = FIRST.indexOf(key);
  return at < 0 ? FIRST.length : at;
};

/** A metric and its evaluation share a chart: `loss` and `eval_loss`. */
export function panelsOf(
  curves: Readonly<Record<string, Points>>,
  averages: Readonly<Record<string, Average | null>> = {},
): Panel[] {
  const keys = Object.keys(curves).filter((key) => !NEVER.has(key) && (curves[key]?.steps.length ?? 0) > 0);
  const bases = new Map<string, string[]>();
  for (const key of keys) {
    const base = key.startsWith("eval_") && (keys.includes(key.slice(5)) || key === "eval_loss") ? key.slice(5) : key;
    bases.set(base, [...(bases.get(base) ?? []), key]);
  }
  return [...bases]
    .sort(([one], [other]) => rank(one) - rank(other) || one.localeCompare(other))
    .map(([key, members]) => ({
      key,
      series: members
        .sort()
        .reverse()
        .map((member, seat): ChartSeries => {
          const isEvaluation = member.startsWith("eval_");
          return {
            key: member,
            label: member,
            points: curves[member] as Points,
            average: averages[member],
            colour: isEvaluation ? 2 : seat + 1,
            sparse: isEvaluation,
          };
        }),
    }));
}

/** Whether an average of a curve says anything: a schedule has no noise. */
export const isNoisy = (panel: Panel): boolean => !AVERAGED.has(panel.key);

const WINDOW = 16;
const FEWEST = 8;
/** What a loss must rise by to be a spike, however flat it was before: nats. */
const LEAST = 0.05;
const MIDDLE_TO_DEVIATION = 1.4826;

const middle = (values: readonly number[]): number => {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[sorted.length >> 1] as number;
};

/** Steps whose loss stands far above those before them: by more than `times` their usual distance from their middle.
 * The middle of a few steps follows a loss that falls, and a spike does not move it. */
export function spikesOf({ steps, values }: Points, times = 8, most = 12): number[] {
  const found: { step: number; by: number }[] = [];
  const before: number[] = [];
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    if (!Number.isFinite(value)) continue;
    const low = Math.min(...before.slice(-4));
    if (before.length >= FEWEST && value > 1.2 * low) {
      const usual = middle(before);
      const spread = MIDDLE_TO_DEVIATION * middle(before.map((one) => Math.abs(one - usual)));
      const off = value - usual;
      if (off > Math.max(LEAST, times * Math.max(spread, 0.02 * Math.abs(usual))))
        found.push({ step: steps[at] as number, by: off / Math.max(usual, 1e-9) });
    }
    before.push(value);
    if (before.length > WINDOW) before.shift();
  }
  return found
    .sort((one, other) => other.by - one.by)
    .slice(0, most)
    .map((one) => one.step)
    .sort((one, other) => one - other);
}
