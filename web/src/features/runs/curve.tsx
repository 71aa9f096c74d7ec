// The loss of a run as a small curve, asked for when its row is in sight.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { stagesQuery } from "@/features/compose/queries";
import { Sparkline } from "@/ui";
import { lossQuery, type RunSummary, trainingStep } from "./queries";

const POINTS = 48;
const EVERY = 15_000;
const NONE: never[] = [];
const TRAINING: ReadonlySet<string> = new Set(["train", "preferences", "rl"]);

export function LossCurve({ run }: { run: RunSummary }) {
  const { t } = useTranslation();
  const isUnended = run.state !== "succeeded" && trainingStep(run) === undefined;
  const { data: stages = NONE } = useQuery({ ...stagesQuery, enabled: isUnended });
  const trainings = useMemo(
    () => new Set(stages.filter((one) => TRAINING.has(one.family)).map((one) => one.name)),
    [stages],
  );
  const step = trainingStep(run, trainings);
  const { data } = useQuery({
    ...lossQuery(run.run, step?.step, POINTS),
    staleTime: 300_000,
    refetchInterval: step?.state === "running" && EVERY,
  });
  return <Sparkline values={data?.values ?? []} label={t("live.loss")} />;
}
