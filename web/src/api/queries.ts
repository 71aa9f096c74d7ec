// The cache of replies. What failed for lack of a connection is asked again when the server is back.
import { QueryCache, QueryClient } from "@tanstack/react-query";
import { onReturn } from "./connection";
import { Problem } from "./problem";

type Listener = () => void;
const expired = new Set<Listener>();

/** Calls back when a request was refused because the session ended. */
export function onExpired(listener: Listener): () => void {
  expired.add(listener);
  return () => expired.delete(listener);
}

export function noteRefusal(error: unknown): void {
  if (error instanceof Problem && error.status === 401) for (const listener of expired) listener();
}

export const queries = new QueryClient({
  // a refused check of the session leads to the login, and must not ask for another check
  queryCache: new QueryCache({ onError: (error, query) => query.queryKey[0] !== "session" && noteRefusal(error) }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      networkMode: "always", // a server on this machine needs no internet
      retry: (count, error) => error instanceof Problem && (error.status >= 502 || error.status === 503) && count < 3,
      retryDelay: (count, error) =>
        error instanceof Problem && error.retryAfter ? error.retryAfter * 1000 : Math.min(400 * 2 ** count, 5_000),
    },
    mutations: { networkMode: "always", onError: noteRefusal },
  },
});

onReturn(() => void queries.invalidateQueries());
