// The streams of this tab take turns: a browser opens six connections to a server over all tabs, and a stream that
// waits for events holds one. A hidden tab holds none.
const MOST = 2;
const TURN = 2_000;

const isHidden = () => globalThis.document?.hidden === true;

interface Turn {
  /** Ends when the turn does, or when `signal` does. */
  signal: AbortSignal;
  /** Whether it ended so that another stream, or this one later, goes on. */
  isOver: () => boolean;
  done: () => void;
}

interface Held {
  began: number;
  over: () => void;
}

const held = new Set<Held>();
const queue: (() => void)[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

/** Gives free places to those that wait; if none is free, the oldest holder gives up its own after its time. */
function next(): void {
  clearTimeout(timer);
  if (isHidden()) {
    for (const one of held) one.over();
    return;
  }
  while (queue.length && held.size < MOST) queue.shift()?.();
  if (!queue.length) return;
  const [oldest] = held;
  if (!oldest) return;
  const left = oldest.began + TURN - Date.now();
  if (left <= 0) oldest.over();
  timer = setTimeout(next, Math.max(left, TURN / 4));
}

globalThis.document?.addEventListener("visibilitychange", next);

/** Waits for a turn; null when `signal` ended before. What was read of a stream until its turn ends is not lost. */
export function turn(signal: AbortSignal): Promise<Turn | null> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve(null);
      return;
    }
    const leave = () => {
      const at = queue.indexOf(enter);
      if (at >= 0) queue.splice(at, 1);
      resolve(null);
    };
    const enter = () => {
      signal.removeEventListener("abort", leave);
      const stopper = new AbortController();
      let isOver = false;
      const own: Held = {
        began: Date.now(),
        over: () => {
          isOver = true;
          stopper.abort();
        },
      };
      held.add(own);
      const stop = () => stopper.abort();
      signal.addEventListener("abort", stop);
      resolve({
        signal: stopper.signal,
        isOver: () => isOver,
        done: () => {
          signal.removeEventListener("abort", stop);
          held.delete(own);
          next();
        },
      });
    };
    signal.addEventListener("abort", leave, { once: true });
    queue.push(enter);
    next();
  });
}
