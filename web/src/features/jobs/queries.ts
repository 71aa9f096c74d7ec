// The jobs of the queue, and what can be done with them.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { answer, api, type Shape } from "@/api/client";
import { useEvents } from "@/api/useEvents";
import { warn } from "@/ui";

export type Job = Jobs["jobs"][number];
export type Jobs = Shape<"Jobs">;

export const jobsQuery = queryOptions({
  queryKey: ["jobs"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/jobs", { signal })),
  staleTime: 1_000,
});

const PAUSE = 100;

/** Keeps the list of jobs true while it is shown: each change of a job after `revision` is an event. */
export function useLiveJobs(revision: number | undefined): void {
  const cache = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const path = revision === undefined ? null : "/api/v1/jobs/events";
  useEvents(
    path,
    () => {
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        void cache.invalidateQueries({ queryKey: jobsQuery.queryKey });
      }, PAUSE);
    },
    { lastId: String(revision) },
  );
}

/** The waiting jobs with one moved before another; null is the end. */
export function moved(waiting: readonly Job[], id: number, before: number | null): Job[] {
  const job = waiting.find((one) => one.id === id);
  if (!job || id === before) return [...waiting];
  const rest = waiting.filter((one) => one.id !== id);
  const at = before === null ? rest.length : rest.findIndex((one) => one.id === before);
  return [...rest.slice(0, at), job, ...rest.slice(at)];
}

export function useMove() {
  const { t } = useTranslation();
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ id, before }: { id: number; before: number | null }) =>
      answer(api.POST("/api/v1/jobs/{id}/move", { params: { path: { id } }, body: { before } })),
    onMutate: async ({ id, before }) => {
      await cache.cancelQueries({ queryKey: jobsQuery.queryKey });
      const known = cache.getQueryData(jobsQuery.queryKey);
      cache.setQueryData(jobsQuery.queryKey, (list) => {
        if (!list) return list;
        const waiting = moved(
          list.jobs.filter((job) => job.state === "queued"),
          id,
          before,
        );
        return { ...list, jobs: list.jobs.map((job) => (job.state === "queued" ? (waiting.shift() ?? job) : job)) };
      });
      return { known };
    },
    onError: (error, _, context) => {
      cache.setQueryData(jobsQuery.queryKey, context?.known);
      warn(t("jobs.notMoved"), error);
    },
    onSettled: () => cache.invalidateQueries({ queryKey: jobsQuery.queryKey }),
  });
}

export function useJobVerb(verb: "cancel" | "resume") {
  const { t } = useTranslation();
  const cache = useQueryClient();
  return useMutation({
    mutationFn: async (id: number): Promise<void> => {
      await api.POST(`/api/v1/jobs/{id}/${verb}`, { params: { path: { id } } });
    },
    onError: (error) => warn(t(`jobs.not_${verb}`), error),
    onSettled: () => cache.invalidateQueries({ queryKey: jobsQuery.queryKey }),
  });
}
