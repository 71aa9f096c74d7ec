// Runs as lists show them.
import { queryOptions } from "@tanstack/react-query";
import { answer, api, type Shape } from "@/api/client";

export type StepRow = Shape<"RunRow">;

/** A run with its steps. */
export interface RunSummary {
  run: string;
  recipe: string;
  number: number;
  state: string;
  created: number | null;
  seconds: number | null;
  reason: string;
  steps: StepRow[];
}

const WORST = ["running", "damaged", "failed", "killed", "interrupted", "stopped", "cancelled", "planned"];

/** Steps, which the server lists newest first, as the runs that they belong to. */
export function byRun(rows: readonly StepRow[]): RunSummary[] {
  const runs = new Map<string, RunSummary>();
  for (const row of rows) {
    const [recipe = "", number = "0"] = row.run.split("/");
    const run = `${recipe}/${number}`;
    const known = runs.get(run);
    if (known) known.steps.unshift(row);
    else
      runs.set(run, {
        run,
        recipe,
        number: Number(number),
        state: "",
        created: null,
        seconds: null,
        reason: "",
        steps: [row],
      });
  }
  for (const run of runs.values()) {
    run.state = WORST.find((state) => run.steps.some((step) => step.state === state)) ?? "succeeded";
    run.created = Math.min(...run.steps.map((step) => step.created ?? Number.POSITIVE_INFINITY));
    run.seconds = run.steps.reduce((sum, step) => sum + (step.seconds ?? 0), 0);
    run.reason = run.steps.find((step) => step.reason)?.reason ?? "";
  }
  return [...runs.values()];
}

export const runsQuery = queryOptions({
  queryKey: ["runs"],
  queryFn: async ({ signal }) => byRun((await answer(api.GET("/api/v1/runs", { signal }))).runs),
  refetchInterval: 5_000,
});
