// What the `.env` of the workspace holds, and the tokens of programs.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { get, send } from "@/api/call";
import { answer, api, type Shape } from "@/api/client";

export type Setting = Shape<"Setting">;
export type Group = Setting["group"];

export const settingsQuery = queryOptions({
  queryKey: ["settings"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/settings", { signal })),
});

/** Sets or removes (null) variables; the answer is the new state of all. */
export function useChangeSettings() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (changes: Record<string, string | null>) =>
      answer(api.PATCH("/api/v1/settings", { body: { changes } })),
    onSuccess: (all) => {
      cache.setQueryData(settingsQuery.queryKey, all);
      void cache.invalidateQueries({ queryKey: ["machine"] });
    },
  });
}

export type Scope = "read" | "run" | "admin";

export interface Token {
  name: string;
  scope: Scope | null;
  made: string;
  expires: string | null;
  has_expired: boolean;
}

export const tokensQuery = queryOptions({
  queryKey: ["tokens"],
  queryFn: ({ signal }) => get<Token[]>("/api/v1/tokens", {}, signal),
});

export function useTokens() {
  const cache = useQueryClient();
  const again = () => cache.invalidateQueries({ queryKey: tokensQuery.queryKey });
  const add = useMutation({
    mutationFn: (asked: { name: string; scope: Scope; days: number | null }) =>
      send<{ name: string; token: string }>("POST", "/api/v1/tokens", asked),
    onSuccess: again,
  });
  const remove = useMutation({
    mutationFn: (name: string) => send<void>("DELETE", `/api/v1/tokens/${encodeURIComponent(name)}`),
    onSuccess: again,
  });
  return { add, remove };
}

export const newLogin = () => send<{ token: string; seconds: number }>("POST", "/api/v1/logins");
