// The loss of a run as a small curve, asked for when its row is in sight.
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { get } from "@/api/call";
import { Sparkline } from "@/ui";
import { type RunSummary, trainingStep } from "./queries";

interface Curves {
  curves: Record<string, { steps: number[]; values: (number | string | null)[] }>;
}

export function LossCurve({ run }: { run: RunSummary }) {
  const { t } = useTranslation();
  const name = trainingStep(run)?.step;
  const { data } = useQuery({
    queryKey: ["runs", run.run, name, "sparkline"],
    queryFn: ({ signal }) => get<Curves>(`/api/v1/runs/${run.run}/${name}/curves`, { key: "loss", points: 48 }, signal),
    enabled: name !== undefined,
    staleTime: 300_000,
    retry: false,
  });
  const values = data?.curves.loss?.values.map(Number) ?? [];
  return <Sparkline values={values} label={t("live.loss")} />;
}
