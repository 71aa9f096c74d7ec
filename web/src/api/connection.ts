// Whether the server can be reached. A request that gets no reply sets it, a reply or a ping clears it.
import { useSyncExternalStore } from "react";

const FIRST = 500;
const LONGEST = 8_000;
let lost = false;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();
const returns = new Set<() => void>();

export function reached(): void {
  if (!lost) return;
  lost = false;
  clearTimeout(timer);
  for (const listener of listeners) listener();
  for (const listener of returns) listener();
}

export function unreachable(): void {
  if (lost) return;
  lost = true;
  for (const listener of listeners) listener();
  ping(FIRST);
}

function ping(wait: number): void {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const reply = await fetch("/health", { cache: "no-store" }).catch(() => null);
    if (reply?.ok) reached();
    else ping(Math.min(wait * 1.6, LONGEST));
  }, wait);
}

/** Tries at once instead of after the wait. */
export const tryNow = (): void => ping(0);
export const isLost = (): boolean => lost;

/** Calls back each time the server is there again. */
export function onReturn(listener: () => void): () => void {
  returns.add(listener);
  return () => returns.delete(listener);
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
export const useLost = (): boolean => useSyncExternalStore(subscribe, isLost);
