// The screen *Adapters*: the registry of adapters and of models.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Kind } from "@/features/models/queries";
import { Registry } from "@/features/models/registry";
import { Page } from "@/ui";
import { Tabs } from "@/ui/tabs";

export default function Adapters() {
  const { t } = useTranslation();
  const { kind, ref } = useSearch({ from: "/shell/adapters" });
  const navigate = useNavigate();
  const go = (next: Kind, chosen?: string) =>
    void navigate({
      to: "/adapters",
      search: { kind: next === "adapter" ? undefined : next, ref: chosen },
      resetScroll: false,
    });
  const tab = (one: Kind) => ({
    value: one,
    title: t(`models.kind_${one}`),
    content: <Registry kind={one} chosen={ref} onChoose={(chosen) => go(one, chosen)} />,
  });
  return (
    <Page title={t("nav.adapters")} description={t("models.registryHint")}>
      <Tabs
        value={kind === "model" ? "model" : "adapter"}
        onChange={(next) => go(next as Kind)}
        tabs={[tab("adapter"), tab("model")]}
      />
    </Page>
  );
}
