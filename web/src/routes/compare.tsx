// Two runs compared: curves on one another, only the settings that differ, measures with their difference.
import { Box, Button, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ArrowLeftRight } from "lucide-react";
import { useTranslation } from "react-i18next";
import { CompareCurves } from "@/features/compare/curves";
import { AskBoth, CompareAnswers, CompareScores } from "@/features/compare/evaluations";
import { Pickers } from "@/features/compare/pickers";
import { changesOf, comparisonQuery, loneOf, measuresOf, runName } from "@/features/compare/queries";
import type { CompareSearch } from "@/features/compare/search";
import { Changes, Measures } from "@/features/compare/tables";
import { pairsQuery } from "@/features/evaluations/queries";
import { listedRunQuery } from "@/features/runs/queries";
import { Block, EmptyState, ErrorCard, Page, Section } from "@/ui";

/** How many points a curve has of which that is not known. */
const UNKNOWN = 200;

export default function Compare() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/shell/compare" });
  const { one = "", other = "" } = search;
  const navigate = useNavigate();
  const look = (next: CompareSearch) =>
    void navigate({ to: "/compare", search: { ...search, ...next }, replace: true, resetScroll: false });
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
  const lone = data ? loneOf(data.steps) : [];
  const pointsOf = (step: string) =>
    Math.max(
      ...[first, second].map((run) => Number(run?.steps.find((one) => one.step === step)?.metrics.steps) || UNKNOWN),
    );
  const madeBy = (run: typeof first) =>
    run?.steps
      .filter((step) => step.kind === "adapter")
      .map((step) => `${step.run.split("/")[0]}.${step.step}@${step.run.split("/")[1]}`) ?? [];
  const models = [...new Set([madeBy(first).at(-1), madeBy(second).at(-1)])].filter((ref) => ref !== undefined);
  const isSame = data && !settings.length && !inputs.length && !measures.length && !lone.length;
  return (
    <Page
      title={t("nav.compare")}
      name={isReady ? `${runName(one)} – ${runName(other)}` : t("nav.compare")}
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
          {inBoth.length > 0 && (
            <CompareCurves one={one} other={other} steps={inBoth} pointsOf={pointsOf} look={search} onLook={look} />
          )}
          <Changes title={t("compare.settings")} rows={settings} runs={[one, other]} />
          <CompareScores pairs={pairs} />
          <CompareAnswers pairs={pairs} look={search} onLook={look} />
          <Measures title={t("compare.measures")} rows={measures} runs={[one, other]} />
          <Changes
            title={t("compare.inputs")}
            description={t("compare.inputsHint")}
            rows={inputs}
            runs={[one, other]}
          />
          {lone.length > 0 && (
            <Box color="fg.muted">
              {lone.map(([run, steps]) => (
                <Text key={run}>{t("compare.only", { run: runName(run), steps: steps.join(", ") })}</Text>
              ))}
            </Box>
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
