// Evaluations: scores with intervals, items by page, and the difference of two runs.
import { queryOptions } from "@tanstack/react-query";
import { answer, api, type Shape } from "@/api/client";
import type { Order } from "./order";

export type Scores = Shape<"Scores">;
export type Evaluation = Shape<"Evaluation">;
export type Score = Shape<"ScoreOf">;
export type Difference = Shape<"Difference">;
export type Judging = Shape<"Judging">;
export type Item = Shape<"ItemOf">;
export type ItemPage = Shape<"ItemPage">;
export type Pair = Shape<"EvaluationPair">;

const pathOf = (run: string) => {
  const [recipe = "", number = "0", step = ""] = run.split("/");
  return { recipe, number: Number(number), step };
};

export const evaluationQuery = (run: string) =>
  queryOptions({
    queryKey: ["evaluation", run],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/evaluations/{recipe}/{number}/{step}", { params: { path: pathOf(run) }, signal })),
    staleTime: 60_000,
    retry: false,
  });

/** Where items come from. */
export interface ItemsQuery {
  queryKey: readonly unknown[];
  queryFn: (context: { signal: AbortSignal }) => Promise<ItemPage>;
}

export interface ItemsAsked {
  order: Order;
  q: string;
  offset: number;
  limit: number;
}

/** What an address says of the items: their order and what is searched for. */
export interface ItemsLook {
  order?: Order;
  q?: string;
}

export const itemsQuery = (run: string, query: ItemsAsked): ItemsQuery => ({
  queryKey: ["evaluation", run, "items", query],
  queryFn: ({ signal }) =>
    answer(
      api.GET("/api/v1/evaluations/{recipe}/{number}/{step}/items", {
        params: { path: pathOf(run), query },
        signal,
      }),
    ),
});

export const pairsQuery = (one: string, other: string) =>
  queryOptions({
    queryKey: ["evaluations", "pairs", one, other],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/evaluations/pairs", { params: { query: { one, other } }, signal })),
    enabled: Boolean(one && other),
    retry: false,
  });

export const differenceQuery = (one: string, other: string) =>
  queryOptions({
    queryKey: ["evaluations", "difference", one, other],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/evaluations/difference", { params: { query: { one, other } }, signal })),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });

export const answersQuery = (one: string, other: string, query: ItemsAsked): ItemsQuery => ({
  queryKey: ["evaluations", "answers", one, other, query],
  queryFn: ({ signal }) =>
    answer(api.GET("/api/v1/evaluations/answers", { params: { query: { one, other, ...query } }, signal })),
});
