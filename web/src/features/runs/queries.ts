// Runs as lists show them.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answer, api, type Shape } from "@/api/client";

export type RunSummary = Shape<"RunGroup">;
export type StepRow = RunSummary["steps"][number];

export interface RunFilters {
  q?: string;
  state?: string;
  recipe?: string;
}

const NEWEST = 100;
const PAGE = 200;
const EVERY = 10_000;

const page = (filters: RunFilters, limit: number, cursor: string | null, signal: AbortSignal) =>
  answer(
    api.GET("/api/v1/runs/grouped", {
      params: { query: { ...filters, limit, ...(cursor === null ? {} : { cursor }) } },
      signal,
    }),
  );

/** The newest runs, kept up to date. */
export const runsQuery = queryOptions({
  queryKey: ["runs", "newest"],
  queryFn: async ({ signal }) => (await page({}, NEWEST, null, signal)).runs,
  refetchInterval: 3_000,
});

/** All runs that the filters let through, page by page. */
export const runPages = (filters: RunFilters) =>
  infiniteQueryOptions({
    queryKey: ["runs", "pages", filters],
    queryFn: ({ pageParam, signal }) => page(filters, PAGE, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
    // all pages are asked again: a reader of many asks less often for the same load
    refetchInterval: (query) => EVERY * (query.state.data?.pages.length ?? 1),
    staleTime: EVERY,
  });

/** The step of a run that trains, if one does: its loss is the run's curve. */
export const trainingStep = (run: RunSummary): StepRow | undefined =>
  run.steps.findLast((one) => "last_loss" in one.metrics);
