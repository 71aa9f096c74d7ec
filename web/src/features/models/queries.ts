// Models, adapters, what steps have made, certificates and lineage.
import { queryOptions } from "@tanstack/react-query";
import { answer, api, type Shape } from "@/api/client";

export type Artifact = Shape<"ArtifactRow">;
export type Certificate = Shape<"Certificate">;
export type Lineage = Shape<"LineageNode">;
export type Version = Shape<"VersionRow">;
export type Kind = "adapter" | "model";

const POLL = 15_000;

export const artifactsQuery = (...kinds: string[]) =>
  queryOptions({
    queryKey: ["artifacts", kinds],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/artifacts", { params: { query: { kind: kinds } }, signal })),
    refetchInterval: POLL,
  });

export const exportsQuery = queryOptions({
  queryKey: ["exports"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/exports", { signal })),
  refetchInterval: POLL,
});

export const versionsQuery = (kind: Kind) =>
  queryOptions({
    queryKey: ["registry", kind],
    queryFn: ({ signal }) =>
      answer(kind === "adapter" ? api.GET("/api/v1/adapters", { signal }) : api.GET("/api/v1/models", { signal })),
  });

export const versionQuery = (kind: Kind, name: string, version: string) =>
  queryOptions({
    queryKey: ["registry", kind, name, version],
    queryFn: ({ signal }) => {
      const params = { path: { name, version } };
      return answer(
        kind === "adapter"
          ? api.GET("/api/v1/adapters/{name}/{version}", { params, signal })
          : api.GET("/api/v1/models/{name}/{version}", { params, signal }),
      );
    },
  });

export const lineageQuery = (ref: string) =>
  queryOptions({
    queryKey: ["lineage", ref],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/lineage", { params: { query: { ref } }, signal })),
    staleTime: 60_000,
  });

/** The registry's name and number of `support@1`. */
export function partsOf(ref: string): { name: string; version: string } {
  const at = ref.lastIndexOf("@");
  return { name: ref.slice(0, at), version: ref.slice(at + 1) };
}

/** The artifact that an address names: none where that is not there, the first where it names none. */
export const chosen = <One extends { ref: string }>(all: readonly One[] | undefined, ref: string | undefined) =>
  ref === undefined ? all?.[0] : all?.find((one) => one.ref === ref);
