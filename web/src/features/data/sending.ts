// The files that this tab sends, whatever screen is shown: each can be cancelled, and is kept until it is dismissed.
import { useSyncExternalStore } from "react";
import { asProblem, type Problem } from "@/api/problem";
import { queries } from "@/api/queries";
import { upload } from "./upload";

export interface Sent {
  id: number;
  file: File;
  /** From 0 to 1. */
  share: number;
  /** Its name in the workspace, when all of it has arrived. */
  name?: string;
  problem?: Problem;
  /** It was sent to train on it. */
  isForRun: boolean;
}

let shown: readonly Sent[] = [];
let count = 0;
const listeners = new Set<() => void>();
const cancels = new Map<number, () => void>();

function change(next: readonly Sent[]): void {
  shown = next;
  for (const listener of listeners) listener();
}

const update = (id: number, found: Partial<Sent>) =>
  change(shown.map((one) => (one.id === id ? { ...one, ...found } : one)));

export const forget = (id: number): void => change(shown.filter((one) => one.id !== id));
export const cancel = (id: number): void => cancels.get(id)?.();

/** Sends a file; gives its name in the workspace, or null if it was not sent, which its line says. */
export async function sendFile(file: File, isForRun = false): Promise<string | null> {
  const id = count++;
  const running = upload(file, (share) => update(id, { share }));
  cancels.set(id, running.cancel);
  change([{ id, file, share: 0, isForRun }, ...shown]);
  try {
    const { name } = await running.done;
    update(id, { share: 1, name });
    void queries.invalidateQueries({ queryKey: ["datasets"] });
    return name;
  } catch (error) {
    const problem = asProblem(error);
    if (problem.code === "cancelled") forget(id);
    else update(id, { problem });
    return null;
  } finally {
    cancels.delete(id);
  }
}

/** Sends files. The only one of them that a reader waits for opens; who went on meanwhile finds it listed. */
export function sendFiles(files: Iterable<File>, isForRun: boolean, open: (name: string) => void): void {
  const all = [...files];
  const from = window.location.href;
  for (const file of all)
    void sendFile(file, isForRun).then((name) => {
      if (name === null || all.length > 1 || window.location.href !== from) return;
      const id = shown.find((one) => one.name === name)?.id;
      if (id !== undefined) forget(id);
      open(name);
    });
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useSending = (): readonly Sent[] => useSyncExternalStore(subscribe, () => shown);

window.addEventListener("beforeunload", (event) => {
  if (cancels.size > 0) event.preventDefault(); // a reload ends what is still being sent
});
