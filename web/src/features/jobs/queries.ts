// The jobs of the queue, and what can be done with them.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { get, send } from "@/api/call";
import { useEvents } from "@/api/useEvents";
import { warn } from "@/ui";

export interface Job {
  id: number;
  run: string;
  recipe: string;
  number: number;
  step: string;
  stage: string;
  needs: number[];
  state: "queued" | "running" | "succeeded" | "failed" | "cancelled";
  slot: string;
  priority: number;
  position: number;
  attempts: number;
  max_attempts: number;
  not_before: number;
  worker: string | null;
  requested: "stop" | "kill" | null;
  error: { code: string; what: string; fix: string } | null;
  reason: string;
  created: number;
  started: number | null;
  ended: number | null;
}

export const jobsQuery = queryOptions({
  queryKey: ["jobs"],
  queryFn: async ({ signal }) => (await get<{ jobs: Job[] }>("/api/v1/jobs", {}, signal)).jobs,
  staleTime: 1_000,
});

/** Keeps the list of jobs true while it is shown: each change of a job is an event. */
export function useLiveJobs(): void {
  const cache = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEvents("/api/v1/jobs/events", () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void cache.invalidateQueries({ queryKey: jobsQuery.queryKey }), 80);
  });
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
      send<Job>("POST", `/api/v1/jobs/${id}/move`, { before }),
    onMutate: async ({ id, before }) => {
      await cache.cancelQueries({ queryKey: jobsQuery.queryKey });
      const known = cache.getQueryData(jobsQuery.queryKey);
      cache.setQueryData(jobsQuery.queryKey, (jobs) => {
        if (!jobs) return jobs;
        const waiting = moved(
          jobs.filter((job) => job.state === "queued"),
          id,
          before,
        );
        return jobs.map((job) => (job.state === "queued" ? (waiting.shift() ?? job) : job));
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
    mutationFn: (id: number) => send<unknown>("POST", `/api/v1/jobs/${id}/${verb}`),
    onError: (error) => warn(t(`jobs.not_${verb}`), error),
    onSettled: () => cache.invalidateQueries({ queryKey: jobsQuery.queryKey }),
  });
}
