// Recipes, stages, plans, and submitting.
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { send } from "@/api/call";
import { answer, api, type Shape } from "@/api/client";
import { problemIn } from "@/api/problem";
import { loadHelp } from "@/i18n/help";
import type { Schema } from "../form";
import type { Asked } from "./draft";
import type { Queued } from "./typed";

export type RecipeRow = Shape<"Recipe">;
export type Stage = Shape<"Stage">;
export type StageDetail = Omit<Shape<"StageDetail">, "json_schema"> & { json_schema: Schema };
export type Plan = Shape<"Plan">;
export type StepForecast = Shape<"StepForecast">;

export const recipesQuery = queryOptions({
  queryKey: ["recipes"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/recipes", { signal })),
  staleTime: 30_000,
});

export const recipeQuery = (name: string) =>
  queryOptions({
    queryKey: ["recipes", name],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/recipes/{name}", { params: { path: { name } }, signal })),
  });

export const stagesQuery = queryOptions({
  queryKey: ["stages"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/stages", { signal })),
  staleTime: 300_000,
});

export const stageQuery = (name: string) =>
  queryOptions({
    queryKey: ["stages", name],
    queryFn: async ({ signal }) => {
      const stage = answer(api.GET("/api/v1/stages/{name}", { params: { path: { name } }, signal }));
      const [detail] = await Promise.all([stage, loadHelp()]); // its help in the language of the page
      return detail as StageDetail;
    },
    staleTime: 300_000,
  });

/** What a run would do. The last plan stays until the next one is there. */
export const planQuery = (asked: Asked | null) =>
  queryOptions({
    queryKey: ["plan", asked],
    queryFn: async ({ signal }) => {
      const body = { settings: [], only: [], force: [], ...asked };
      const { plan, problem } = await answer(api.POST("/api/v1/drafts", { body, signal }));
      if (plan) return plan;
      throw problemIn(problem ?? {});
    },
    enabled: asked !== null,
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 2_000,
  });

/** What the trainings of a draft would take. It is asked for when the plan of the draft is there. */
export const forecastQuery = (asked: Asked, isPlanned: boolean) =>
  queryOptions({
    queryKey: ["forecast", asked],
    queryFn: ({ signal }) =>
      answer(api.POST("/api/v1/forecasts", { body: { settings: [], only: [], force: [], ...asked }, signal })),
    enabled: isPlanned,
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
  });

export const submit = (asked: Asked, queued: Queued): Promise<{ run: string }> =>
  send("POST", "/api/v1/runs", { ...asked, ...queued });
