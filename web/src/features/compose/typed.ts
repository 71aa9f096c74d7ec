// What was typed for the queue: numbers, or faults that are shown. Nothing that was typed is dropped.
import type { Typed } from "./draft";

export interface Queued {
  priority: number;
  /** In seconds. */
  time_limit: number | null;
}

const WHOLE = /^[-+]?\d{1,7}$/;
const DECIMAL = /^(\d+\.?\d*|\.\d+)$/;

export const isPriority = (text: string): boolean => text.trim() === "" || WHOLE.test(text.trim());
export const isTime = (text: string): boolean =>
  text.trim() === "" || (DECIMAL.test(text.trim()) && Number(text.trim()) > 0);

/** What the queue is asked; null while it cannot be understood. */
export function queuedOf({ priority, time }: Typed): Queued | null {
  if (!isPriority(priority) || !isTime(time)) return null;
  return { priority: Number(priority.trim()), time_limit: time.trim() === "" ? null : Number(time.trim()) * 60 };
}
