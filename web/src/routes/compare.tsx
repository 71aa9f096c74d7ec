// Two runs compared: curves on one another, only the settings that differ, measures with their difference.
import { Button, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { ArrowLeftRight } from "lucide-react";
import { useTranslation } from "react-i18next";
import { CompareCurves } from "@/features/compare/curves";
import { AskBoth, CompareAnswers, CompareScores } from "@/features/compare/evaluations";
import { Pickers } from "@/features/compare/pickers";
import { changesOf, comparisonQuery, measuresOf } from "@/features/compare/queries";
import { Changes, Measures } from "@/features/compare/tables";
import { pairsQuery } from "@/features/evaluations/queries";
import { listedRunQuery } from "@/features/runs/queries";
import { Block, EmptyState, ErrorCard, Page, Section } from "@/ui";

export default function Compare() {
  const { t } = useTranslation();
  const { one = "", other = "" } = useSearch({ from: "/shell/compare" });
  const { data, error, refetch } = useQuery(comparisonQuery(one, other));
  const { data: first } = useQuery(listedRunQuery(one));
  const { data: second } = useQuery(listedRunQuery(other));
  const { data: pairs = [] } = useQuery(pairsQuery(one, other));
  const isReady = Boolean(one && other);
  const stepsOf = (run: typeof first) =>
    run?.steps.filter((step) => "last_loss" in step.metrics || step.state === "running").map((step) => step.step) ?? [];
  const inBoth = stepsOf(first).filter((step) => stepsOf(second).includes(step));
  const settings = data ? changesOf(data.steps, "settings") : [];
  const inputs = data ? changesOf(data.steps, "inputs") : [];
  const measures = data ? measuresOf(data.steps) : [];
  const lone = Object.entries(data?.steps ?? {}).filter(([, step]) => step.only_in);
  const madeBy = (run: typeof first) =>
    run?.steps
      .filter((step) => step.kind === "adapter")
      .map((step) => `${step.run.split("/")[0]}.${step.step}@${step.run.split("/")[1]}`) ?? [];
  const models = [...new Set([madeBy(first).at(-1), madeBy(second).at(-1)])].filter((ref) => ref !== undefined);
  const isSame = data && !settings.length && !inputs.length && !measures.length && !lone.length;
  return (
    <Page
      title={t("nav.compare")}
      name={isReady ? `${one} – ${other}` : t("nav.compare")}
      description={t("compare.hint")}
      actions={isReady && <AskBoth models={models} />}
    >
      <Pickers one={one} other={other} />
      {!isReady && (
        <Section flush>
          <EmptyState
            icon={ArrowLeftRight}
            title={t("compare.empty")}
            action={
              <Button asChild size="sm" variant="outline">
                <Link to="/runs">{t("nav.runs")}</Link>
              </Button>
            }
          >
            {t("compare.emptyHint")}
          </EmptyState>
        </Section>
      )}
      {isReady && error && <ErrorCard error={error} onRetry={() => void refetch()} />}
      {isReady && !error && !data && (
        <>
          <Block height={372} />
          <Block height={200} />
        </>
      )}
      {isReady && data && (
        <>
          {inBoth.length > 0 && <CompareCurves one={one} other={other} steps={inBoth} />}
          <Changes title={t("compare.settings")} rows={settings} runs={[one, other]} />
          <CompareScores pairs={pairs} />
          <CompareAnswers pairs={pairs} />
          <Measures title={t("compare.measures")} rows={measures} runs={[one, other]} />
          <Changes title={t("compare.inputs")} rows={inputs} runs={[one, other]} />
          {lone.length > 0 && (
            <Text color="fg.muted">
              {lone.map(([step, { only_in }]) => t("compare.only", { step, run: only_in })).join(" ")}
            </Text>
          )}
          {isSame && (
            <Section flush>
              <EmptyState compact icon={ArrowLeftRight} title={t("compare.same")}>
                {t("compare.sameHint")}
              </EmptyState>
            </Section>
          )}
        </>
      )}
    </Page>
  );
}
