// What the `.env` of the workspace holds, and the tokens of programs.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
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

export type Token = Shape<"Token">;
export type Scope = NonNullable<Token["scope"]>;

export const tokensQuery = queryOptions({
  queryKey: ["tokens"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/tokens", { signal })),
});

export function useTokens() {
  const cache = useQueryClient();
  const again = () => cache.invalidateQueries({ queryKey: tokensQuery.queryKey });
  const add = useMutation({
    mutationFn: (asked: { name: string; scope: Scope; days: number | null }) =>
      answer(api.POST("/api/v1/tokens", { body: asked })),
    onSuccess: again,
  });
  const remove = useMutation({
    mutationFn: async (name: string): Promise<void> => {
      await api.DELETE("/api/v1/tokens/{name}", { params: { path: { name } } });
    },
    onSuccess: again,
  });
  return { add, remove };
}

export const newLogin = () => answer(api.POST("/api/v1/logins"));

/** Whether only a browser of the machine itself can open an address. */
export const isLoopback = (host: string): boolean => /^(localhost|.*\.localhost|127(\.\d+){3}|\[?::1\]?)$/.test(host);

export type OpenSession = Shape<"OpenSession">;

export const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/sessions", { signal })),
});

export function useEndSession() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: async (id: string): Promise<void> => {
      await api.DELETE("/api/v1/sessions/{id}", { params: { path: { id } } });
    },
    onSettled: () => cache.invalidateQueries({ queryKey: sessionsQuery.queryKey }),
  });
}
