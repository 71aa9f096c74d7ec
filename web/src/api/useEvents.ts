// A stream of the server for as long as a component is shown.
import { useEffect, useRef, useState } from "react";
import type { Problem } from "./problem";
import { follow, type StreamEvent } from "./stream";

export type StreamState = "connecting" | "open" | "waiting" | "closed";

/** Follows `path` (null: nothing); `onEvent` may change between renders without a new connection. */
export function useEvents(
  path: string | null,
  onEvent: (event: StreamEvent) => void,
  options: { endEvent?: string; lastId?: string } = {},
): { state: StreamState; problem: Problem | null } {
  const handler = useRef(onEvent);
  handler.current = onEvent;
  const from = useRef(options.lastId);
  from.current = options.lastId;
  const { endEvent } = options;
  const [shown, setShown] = useState<{ state: StreamState; problem: Problem | null }>({
    state: "connecting",
    problem: null,
  });
  useEffect(() => {
    if (path === null) return;
    setShown({ state: "connecting", problem: null });
    return follow(path, {
      onEvent: (event) => handler.current(event),
      onState: (state, problem) => setShown({ state, problem }),
      lastId: from.current,
      endEvent,
    });
  }, [path, endEvent]);
  return shown;
}
