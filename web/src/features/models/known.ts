// The models that can be asked: the built-in one, those of the registry, and what steps have made.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { artifactsQuery, versionsQuery } from "./queries";

export interface KnownModel {
  ref: string;
  label: string;
  group: string;
  kind: string;
}

/** Why the list is not whole: it says only what could be read. */
export function useKnownProblem(): unknown {
  const made = useQuery(artifactsQuery("adapter", "model", "gguf"));
  const adapters = useQuery(versionsQuery("adapter"));
  const models = useQuery(versionsQuery("model"));
  return made.error ?? adapters.error ?? models.error;
}

export function useKnownModels(): KnownModel[] {
  const { t } = useTranslation();
  const made = useQuery(artifactsQuery("adapter", "model", "gguf"));
  const adapters = useQuery(versionsQuery("adapter"));
  const models = useQuery(versionsQuery("model"));
  return useMemo(() => {
    const versions = [...(adapters.data?.versions ?? []), ...(models.data?.versions ?? [])];
    return [
      { ref: "builtin:pocket", label: t("compose.pocket"), group: t("models.builtin"), kind: "model" },
      ...versions.map((one) => ({
        ref: one.ref,
        label: `${one.kind} · ${one.stage}`,
        group: t("models.registry"),
        kind: one.kind,
      })),
      ...(made.data?.artifacts ?? []).map((one) => ({
        ref: one.ref,
        label: `${one.kind} · ${one.stage}`,
        group: t("models.made"),
        kind: one.kind,
      })),
    ];
  }, [made.data, adapters.data, models.data, t]);
}
