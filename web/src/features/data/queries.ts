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
