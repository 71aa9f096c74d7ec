// Datasets and their rows.
import { queryOptions } from "@tanstack/react-query";
import { answer, api, type Shape } from "@/api/client";

export type Dataset = Shape<"DatasetRow">;
export type DatasetDetail = Shape<"DatasetDetail">;
export type DataRow = Shape<"DataRow">;
export type PreviewRow = Shape<"PreviewRow">;

export const datasetsQuery = queryOptions({
  queryKey: ["datasets"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/datasets", { signal })),
  staleTime: 5_000,
});

export const datasetQuery = (name: string) =>
  queryOptions({
    queryKey: ["datasets", name],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/datasets/{name}", { params: { path: { name } }, signal })),
    staleTime: 30_000,
  });

export const PAGE = 100;

export const rowsQuery = (name: string, split: string | undefined, page: number) =>
  queryOptions({
    queryKey: ["datasets", name, "rows", split, page],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/api/v1/datasets/{name}/rows", {
          params: { path: { name }, query: { split, offset: page * PAGE, limit: PAGE } },
          signal,
        }),
      ),
    staleTime: 60_000,
  });

export const wholeRowQuery = (name: string, split: string | undefined, row: number) =>
  queryOptions({
    queryKey: ["datasets", name, "row", split, row],
    queryFn: async ({ signal }) =>
      (
        await answer(
          api.GET("/api/v1/datasets/{name}/rows", {
            params: { path: { name }, query: { split, offset: row, limit: 1, whole: true } },
            signal,
          }),
        )
      ).rows[0] ?? null,
    staleTime: 60_000,
  });

export const previewQuery = (name: string, split: string | undefined, row: number, tokenizer: string) =>
  queryOptions({
    queryKey: ["datasets", name, "preview", split, row, tokenizer],
    queryFn: async ({ signal }) =>
      (
        await answer(
          api.GET("/api/v1/datasets/{name}/preview", {
            params: { path: { name }, query: { split, offset: row, limit: 1, tokenizer: tokenizer || undefined } },
            signal,
          }),
        )
      ).rows[0] ?? null,
    staleTime: 60_000,
    retry: false,
  });

export const profileQuery = (name: string) =>
  queryOptions({
    queryKey: ["datasets", name, "profile"],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/datasets/{name}/profile", { params: { path: { name } }, signal })),
    refetchInterval: (query) => (["queued", "running"].includes(query.state.data?.state ?? "") ? 1_500 : false),
  });

export const quarantineQuery = (name: string) =>
  queryOptions({
    queryKey: ["datasets", name, "quarantine"],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/api/v1/datasets/{name}/quarantine", { params: { path: { name }, query: { limit: 200 } }, signal }),
      ),
    staleTime: 60_000,
  });
