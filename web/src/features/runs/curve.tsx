// The loss of a run as a small curve, asked for when its row is in sight.
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Sparkline } from "@/ui";
import { lossQuery, type RunSummary, trainingStep } from "./queries";

const POINTS = 48;

export function LossCurve({ run }: { run: RunSummary }) {
  const { t } = useTranslation();
  const { data } = useQuery({ ...lossQuery(run.run, trainingStep(run)?.step, POINTS), staleTime: 300_000 });
  return <Sparkline values={data?.values ?? []} label={t("live.loss")} />;
}
