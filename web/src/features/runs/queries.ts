// Runs as lists show them.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
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

export interface RunFilters {
  q?: string;
  state?: string;
  recipe?: string;
}

export interface RunPage {
  items: RunSummary[];
  next: string | null;
  total: number;
}

async function page(filters: RunFilters, _cursor: string | null, signal: AbortSignal): Promise<RunPage> {
  const found = byRun((await answer(api.GET("/api/v1/runs", { signal }))).runs);
  const words = (filters.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const items = found.filter(
    (run) =>
      (!filters.state || run.state === filters.state) &&
      (!filters.recipe || run.recipe === filters.recipe) &&
      words.every((word) =>
        `${run.run} ${run.steps.map((step) => `${step.run} ${step.stage}`).join(" ")}`.includes(word),
      ),
  );
  return { items, next: null, total: items.length };
}

/** The newest runs, kept up to date. */
export const runsQuery = queryOptions({
  queryKey: ["runs", "newest"],
  queryFn: async ({ signal }) => (await page({}, null, signal)).items,
  refetchInterval: 5_000,
});

/** All runs that the filters let through, page by page. */
export const runPages = (filters: RunFilters) =>
  infiniteQueryOptions({
    queryKey: ["runs", "pages", filters],
    queryFn: ({ pageParam, signal }) => page(filters, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
    refetchInterval: 10_000,
  });
