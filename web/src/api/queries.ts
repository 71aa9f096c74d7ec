// The cache of replies. What failed for lack of a connection is asked again when the server is back.
import { QueryClient } from "@tanstack/react-query";
import { onReturn } from "./connection";
import { Problem } from "./problem";

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      networkMode: "always", // a server on this machine needs no internet
      retry: (count, error) => error instanceof Problem && (error.status >= 502 || error.status === 503) && count < 3,
      retryDelay: (count, error) =>
        error instanceof Problem && error.retryAfter ? error.retryAfter * 1000 : Math.min(400 * 2 ** count, 5_000),
    },
    mutations: { networkMode: "always" },
  },
});

onReturn(() => void queries.invalidateQueries());
