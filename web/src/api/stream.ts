// Server-sent events over fetch: resumes with Last-Event-ID, waits longer after each failure, and says its state.
import { asProblem, type Problem } from "./problem";
import { address, guarded } from "./transport";
import { turn } from "./turns";

export interface StreamEvent {
  id: string;
  event: string;
  data: string;
}

export interface StreamOptions {
  onEvent: (event: StreamEvent) => void;
  /** `open` when events can come, `waiting` before another attempt, `closed` when the server refused or ended it. */
  onState?: (state: "open" | "waiting" | "closed", problem: Problem | null) => void;
  lastId?: string;
  /** An event of this name ends the stream; nothing is asked again. */
  endEvent?: string;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;

/** Reads lines into events, as the standard of event streams says. */
export function eventReader(onEvent: (event: StreamEvent) => void, onRetry: (wait: number) => void = () => {}) {
  let rest = "";
  let id = "";
  let event = "";
  let data: string[] = [];
  const line = (text: string) => {
    if (text === "") {
      if (data.length) onEvent({ id, event: event || "message", data: data.join("\n") });
      event = "";
      data = [];
      return;
    }
    if (text.startsWith(":")) return;
    const at = text.indexOf(":");
    const field = at < 0 ? text : text.slice(0, at);
    const value = at < 0 ? "" : text.slice(at + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^\d+$/.test(value)) onRetry(Number(value));
  };
  return (chunk: string) => {
    rest += chunk;
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const one of lines) line(one);
  };
}

/** Follows a stream until the returned function is called. */
export function follow(path: string, options: StreamOptions): () => void {
  const stopper = new AbortController();
  let last = options.lastId ?? "";
  let failures = 0;
  let base = FIRST_WAIT;
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wake: (() => void) | undefined;

  const pause = (wait: number) =>
    new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, wait);
    });

  const read = async (signal: AbortSignal) => {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (last) headers["last-event-id"] = last;
    const reply = await guarded(address(path), { headers, signal, cache: "no-store" });
    if (!reply.body) return;
    options.onState?.("open", null);
    const feed = eventReader(
      (event) => {
        if (ended) return;
        failures = 0;
        if (event.id) last = event.id;
        if (event.event === options.endEvent) ended = true;
        options.onEvent(event);
      },
      (wait) => {
        base = wait;
      },
    );
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || ended) break;
      feed(value);
    }
    await reader.cancel().catch(() => {});
  };

  const run = async () => {
    while (!stopper.signal.aborted && !ended) {
      let problem: Problem | null = null;
      const own = await turn(stopper.signal);
      if (!own) return;
      try {
        await read(own.signal);
      } catch (error) {
        if (stopper.signal.aborted) return;
        if (own.isOver()) continue;
        problem = asProblem(error);
        if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
          options.onState?.("closed", problem);
          return;
        }
      } finally {
        own.done();
      }
      if (stopper.signal.aborted || ended) break;
      options.onState?.("waiting", problem);
      const wait = Math.min(base * 2 ** failures, LONGEST_WAIT);
      failures += 1;
      await pause(problem?.retryAfter ? problem.retryAfter * 1000 : wait * (0.75 + Math.random() / 2));
    }
    if (ended) options.onState?.("closed", null);
  };

  void run();
  return () => {
    stopper.abort();
    clearTimeout(timer);
    wake?.();
  };
}
