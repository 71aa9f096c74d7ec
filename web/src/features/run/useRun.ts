// One run as it is now: what the server says of it, and the events that came since.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { serverNow } from "@/api/clock";
import type { StreamEvent } from "@/api/stream";
import { useEvents } from "@/api/useEvents";
import { curvesQuery, pathOf, type RunDetail, type RunName, type RunStep, runKey, runQuery } from "./api";
import { type LiveStep, RunFollower } from "./live";

const SOON = 250;
const WITHOUT_STREAM = 3_000;
const WITH_STREAM = 20_000; // a hidden tab has none, and its title says how the run is
const FRESH = 5;

export interface FollowedRun {
  detail: RunDetail | undefined;
  error: unknown;
  live: ReadonlyMap<string, LiveStep>;
  follower: RunFollower;
  /** When the detail was read: seconds since 1970, on the browser's clock. */
  readAt: number;
  /** Events cannot be had now; what is shown may be old. */
  isBehind: boolean;
  refresh: () => void;
}

export function useRun(name: RunName): FollowedRun {
  const client = useQueryClient();
  const { recipe, number } = name;
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const moved = useRef(new Map<string, number>());
  const refresh = useCallback(() => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const steps = moved.current;
      moved.current = new Map();
      void client.invalidateQueries({
        queryKey: runKey({ recipe, number }),
        predicate: (query) => isStale(query.queryKey, query.state.dataUpdatedAt / 1000, steps),
      });
    }, SOON);
  }, [client, recipe, number]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const follower = useMemo(() => {
    const onState = (step: string, _: string, at: number) => {
      moved.current.set(step, serverToOwn(at));
      refresh();
    };
    return new RunFollower(150, onState);
  }, [refresh]);
  const live = useSyncExternalStore(follower.subscribe, follower.snapshot);
  const last = useRef("");
  const [isEnded, setEnded] = useState(false);
  const [begin, setBegin] = useState<string>();
  const onEvent = useCallback(
    (event: StreamEvent) => {
      if (event.id) last.current = event.id;
      follower.take(event);
      if (event.event === "end") {
        setEnded(true);
        for (const [step, { at }] of follower.snapshot()) moved.current.set(step, serverToOwn(at));
        refresh();
      }
    },
    [follower, refresh],
  );
  // Of what was before the run was read, the curves have the metrics: they are read after it.
  const path = begin === undefined ? null : `${pathOf({ recipe, number })}/events?brief=${encodeURIComponent(begin)}`;
  const stream = useEvents(isEnded ? null : path, onEvent, { endEvent: "end", lastId: last.current || undefined });
  const found = useQuery({
    ...runQuery(name),
    refetchInterval: (query) =>
      isEnded || !isActive(query.state.data?.state) ? false : stream.state === "closed" ? WITHOUT_STREAM : WITH_STREAM,
    refetchIntervalInBackground: true,
  });
  const detail = found.data;
  useEffect(() => setBegin((known) => known ?? detail?.cursor), [detail?.cursor]);
  useEffect(() => {
    if (!isEnded || !isActive(detail?.state)) return;
    const again = setTimeout(() => setEnded(false), WITHOUT_STREAM); // it goes on: it was resumed
    return () => clearTimeout(again);
  }, [isEnded, detail?.state]);
  return {
    detail,
    error: found.error,
    live,
    follower,
    readAt: found.dataUpdatedAt / 1000,
    isBehind: !isEnded && isActive(detail?.state) && stream.state === "waiting",
    refresh,
  };
}

/** A time of the server on the browser's clock. */
const serverToOwn = (at: number) => at + Date.now() / 1000 - serverNow();

/** Whether a reply of a run is older than what has happened: the run itself always, what was read of a step since the
 * step's last change. Curves go on with the events. */
export function isStale(key: readonly unknown[], read: number, moved: ReadonlyMap<string, number>): boolean {
  const [, , , step, what] = key;
  if (step === undefined) return true;
  const at = typeof step === "string" ? moved.get(step) : undefined;
  return at !== undefined && what !== "curves" && read <= at + FRESH;
}

/** The curves of a step at once, before its events have come; true until they are shown. */
export function useCurves(name: RunName, step: RunStep | undefined, follower: RunFollower): boolean {
  const { recipe, number } = name;
  const found = useQuery({
    ...curvesQuery({ recipe, number, step: step?.step ?? "" }),
    enabled: step?.shown != null,
  });
  const stepName = step?.step;
  useEffect(() => {
    if (stepName && found.data) follower.start(stepName, found.data.curves);
  }, [stepName, found.data, follower]);
  return found.isLoading || (step !== undefined && found.isSuccess && !follower.hasStarted(step.step));
}

/** The state of the run as it is shown: one that was requested to stop is stopping until it has. */
export const shownState = (detail: RunDetail): string =>
  isActive(detail.state) && detail.stop_requested ? "stopping" : detail.state;

/** Why a step has not started, as a text of the page. */
export const notStarted = (detail: RunDetail, state: string) =>
  state === "removed" ? "run.removedHint" : isActive(detail.state) ? "run.notStartedHint" : "run.notStartedEnded";

export const isActive = (state: string | undefined): boolean =>
  state === "running" || state === "queued" || state === "stopping";

/** The state of a step as it is shown: a result that was taken from another run is reused. */
export function stateOf(step: RunStep, live: LiveStep | undefined): string {
  const state = step.shown || !live?.state ? step.state : live.state;
  return state === "succeeded" && step.action === "reuse" ? "reused" : state;
}

/** Whether the step trains: it has a curve, or says what it trains on. */
export const isTraining = (step: RunStep, live: LiveStep | undefined): boolean =>
  Boolean(live?.curves.loss ?? live?.curves.reward) ||
  (step.shown?.settings.base !== undefined && step.shown.inputs.data !== undefined);

/** The step that a reader wants to see first: the one at work, the one that failed, a training, the last. */
export function firstStep(detail: RunDetail): string {
  const by = (test: (step: RunStep) => boolean) => detail.steps.find(test)?.step;
  return (
    by((step) => step.state === "running") ??
    by((step) => ["failed", "killed", "interrupted", "damaged"].includes(step.state)) ??
    by((step) => (step.shown?.checks.length ?? 0) > 0) ??
    detail.steps.findLast((step) => step.shown)?.step ??
    detail.steps[0]?.step ??
    ""
  );
}

/** The time on the server, every second while something runs. */
export function useNow(isTicking: boolean): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    if (!isTicking) return;
    const clock = setInterval(() => setNow(serverNow()), 1000);
    return () => clearInterval(clock);
  }, [isTicking]);
  return now;
}
