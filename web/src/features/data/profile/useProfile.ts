// The profile of a dataset: made by a job, of an upload by itself when it is first looked at.

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { answer, api } from "@/api/client";
import { problemTold } from "@/api/problem";
import { sessionQuery } from "@/api/session";
import { type DatasetDetail, profileQuery } from "../queries";
import type { Profile } from "./shape";

export type ProfileState =
  | { state: "loading" }
  | { state: "none" }
  | { state: "waiting" | "running"; run: string | null }
  | { state: "failed"; error: unknown }
  | { state: "made"; profile: Profile; run: string | null };

export interface AskedProfile {
  shown: ProfileState;
  make: () => void;
  isAsking: boolean;
}

interface Fault {
  what?: string;
  fix?: string;
}

export function useProfile(name: string, detail: DatasetDetail | undefined): AskedProfile {
  const queries = useQueryClient();
  const found = useQuery(profileQuery(name));
  const { data: session } = useQuery(sessionQuery);
  const asked = useMutation({
    mutationFn: () =>
      answer(api.POST("/api/v1/datasets/{name}/profile", { params: { path: { name } }, body: { settings: {} } })),
    onSuccess: (made) => queries.setQueryData(profileQuery(name).queryKey, made),
  });
  const { data } = found;
  const isOwn = detail?.origin === "upload" && session !== undefined && session.scope !== "read";
  const isFirst = isOwn && data?.state === "none" && data.job === null;
  const started = useRef("");
  const { mutate } = asked;
  useEffect(() => {
    if (!isFirst || started.current === name) return;
    started.current = name;
    mutate();
  }, [isFirst, name, mutate]);
  return { shown: stateOf(), make: () => mutate(), isAsking: asked.isPending };

  function stateOf(): ProfileState {
    if (asked.error) return { state: "failed", error: asked.error };
    if (!data) return found.error ? { state: "failed", error: found.error } : { state: "loading" };
    if (data.profile) return { state: "made", profile: data.profile as unknown as Profile, run: data.run };
    if (data.state === "queued") return { state: "waiting", run: data.run };
    if (data.state === "running") return { state: "running", run: data.run };
    if (asked.isPending || isFirst) return { state: "waiting", run: null };
    const fault = data.error as Fault | null;
    if (fault) return { state: "failed", error: problemTold(fault) };
    return { state: "none" };
  }
}
