// Runs as lists show them.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get } from "@/api/call";
import { answer, api, type Shape } from "@/api/client";
import type { Points } from "@/ui/chart/points";

export type RunSummary = Shape<"RunGroup">;
export type StepRow = RunSummary["steps"][number];

export interface RunFilters {
  q?: string;
  state?: string;
  recipe?: string;
  stage?: string;
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

/** What a search finds among all runs, the newest first. `demo #3` is one run. */
export const foundRunsQuery = (words: string) =>
  queryOptions({
    queryKey: ["runs", "found", words],
    queryFn: async ({ signal }) => (await page({ q: words }, PAGE, null, signal)).runs,
    enabled: Boolean(words),
    placeholderData: keepPreviousData,
    staleTime: EVERY,
  });

/** A run as lists show it, by `<recipe>/<number>`; null where there is none. */
export const listedRunQuery = (name: string) =>
  queryOptions({
    queryKey: ["runs", "listed", name],
    queryFn: async ({ signal }) => {
      const [recipe = "", number = ""] = name.split("/");
      return (await page({ recipe, q: `#${number}` }, 1, null, signal)).runs[0] ?? null;
    },
    enabled: Boolean(name),
    refetchInterval: EVERY,
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

const BEGUN: ReadonlySet<string> = new Set(["running", "interrupted", "failed", "killed"]);

/** The step of a run whose loss is the run's curve: the last that has trained, else one of these stages that has begun. */
export const trainingStep = (run: RunSummary, trainings?: ReadonlySet<string>): StepRow | undefined =>
  run.steps.findLast((one) => "last_loss" in one.metrics) ??
  run.steps.findLast((one) => BEGUN.has(one.state) && one.stage !== null && trainings?.has(one.stage));

interface SentLoss {
  curves: { loss?: { steps: number[]; values: (number | string)[] } };
}

/** The loss of a step, thinned to so many points; no step has none. */
export const lossQuery = (run: string, step: string | undefined, points: number) =>
  queryOptions({
    queryKey: ["runs", run, step, "loss", points],
    queryFn: async ({ signal }): Promise<Points> => {
      const { loss } = (await get<SentLoss>(`/api/v1/runs/${run}/${step}/curves`, { key: "loss", points }, signal))
        .curves;
      return { steps: loss?.steps ?? [], values: (loss?.values ?? []).map(Number) };
    },
    enabled: step !== undefined,
    retry: false,
  });
