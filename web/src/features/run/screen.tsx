// The screen of one run: its steps, the chosen one, and what stands in its tabs.
import { Box, Flex, Grid, Text } from "@chakra-ui/react";
import { lazy, Suspense, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Ago, Block, duration, EmptyState, ErrorCard, Lines, Page, StatusBadge, ToList } from "@/ui";
import { Actions, useResume } from "./actions";
import type { RunDetail, RunName } from "./api";
import { FailureCard } from "./failure";
import { useFinishAlert } from "./finish";
import { Pipeline } from "./pipeline";
import type { RunSearch } from "./search";
import { StepHeader } from "./stepHeader";
import { StepTabs } from "./tabs";
import { firstStep, isActive, shownState, stateOf, useCurves, useNow, useRun } from "./useRun";

const Result = lazy(async () => ({ default: (await import("./result")).Result }));

export function RunScreen({ recipe, number, search }: RunName & { search: RunSearch }) {
  const { t } = useTranslation();
  const name = useMemo(() => ({ recipe, number }), [recipe, number]);
  const run = useRun(name);
  const { detail, live } = run;
  const isFinished = detail?.state === "succeeded";
  const showsResult = isFinished && search.step === undefined;
  const chosen = search.step ?? (detail && !showsResult ? firstStep(detail) : "");
  const step = detail?.steps.find((one) => one.step === chosen);
  const isLoading = useCurves(name, step, run.follower);
  const resume = useResume(name, run.refresh);
  useFinishAlert(detail, name, live);
  const title = (
    <Flex as="span" align="center" gap={3} wrap="wrap">
      <span>
        {recipe}
        <Text as="span" color="fg.muted" fontWeight="400">
          {" "}
          #{number}
        </Text>
      </span>
      {detail && <StatusBadge state={shownState(detail)} />}
    </Flex>
  );
  const mark = detail && isActive(detail.state) ? "▸ " : detail?.state === "succeeded" ? "✓ " : detail ? "✗ " : "";
  const failure = step && (live.get(step.step)?.failed ?? step.shown?.error ?? step.problem);
  const isFailed = step !== undefined && ["failed", "killed", "damaged"].includes(stateOf(step, live.get(step.step)));
  return (
    <Page
      title={title}
      name={`${mark}${recipe} #${number}`}
      description={detail && <Summary detail={detail} readAt={run.readAt} isBehind={run.isBehind} />}
      actions={detail && <Actions name={name} detail={detail} resume={resume} onChange={run.refresh} />}
    >
      {run.error && !detail ? (
        <ErrorCard error={run.error} onRetry={run.refresh} action={<ToList to="/runs">{t("nav.runs")}</ToList>} />
      ) : (
        <Grid
          templateColumns={{ base: "minmax(0, 1fr)", lg: "208px minmax(0, 1fr)" }}
          gap={{ base: 5, lg: 8 }}
          alignItems="start"
        >
          <Box
            position={{ lg: "sticky" }}
            top={{ lg: 6 }}
            maxH={{ lg: "calc(100dvh - 48px)" }}
            overflowY={{ lg: "auto" }}
            mx={-2}
            px={2}
          >
            {detail ? (
              <Pipeline
                name={name}
                steps={detail.steps}
                live={live}
                chosen={chosen}
                tab={search.tab}
                hasResult={isFinished}
              />
            ) : (
              <Lines count={7} />
            )}
          </Box>
          <Flex direction="column" gap={{ base: 5, md: 6 }} minW={0}>
            {!detail && <Block height={420} />}
            {detail && showsResult && (
              <Suspense fallback={<Block height={420} />}>
                <Result name={name} detail={detail} />
              </Suspense>
            )}
            {detail && !step && !showsResult && (
              <EmptyState title={t("run.noStep", { step: chosen })}>{t("run.noStepHint")}</EmptyState>
            )}
            {detail && step && (
              <>
                <StepHeader step={step} live={live.get(step.step)} isLoading={isLoading} />
                {isFailed && failure && (
                  <FailureCard
                    name={name}
                    step={step.step}
                    run={step.run}
                    failure={failure}
                    onResume={isActive(detail.state) ? undefined : resume.start}
                    isResuming={resume.isBusy}
                  />
                )}
                <StepTabs
                  name={name}
                  detail={detail}
                  step={step}
                  live={live.get(step.step)}
                  search={search}
                  isLoading={isLoading}
                />
              </>
            )}
          </Flex>
        </Grid>
      )}
    </Page>
  );
}

/** Seconds in the queue that are worth a word. */
const LONG_WAIT = 5;

/** When it was made, how long it took, how far it is. */
function Summary({ detail, readAt, isBehind }: { detail: RunDetail; readAt: number; isBehind: boolean }) {
  const { t } = useTranslation();
  useNow(isActive(detail.state)); // drawn again every second
  const since = Math.max(0, Date.now() / 1000 - readAt);
  const runs = detail.steps.some((step) => step.state === "running");
  const waits = isActive(detail.state) && detail.seconds === null;
  const took = detail.seconds === null ? null : detail.seconds + (runs ? since : 0);
  const waited = detail.waited === null ? 0 : detail.waited + (waits ? since : 0);
  const done = detail.steps.filter((step) => step.state === "succeeded").length;
  return (
    <Flex as="span" gap={2} wrap="wrap" columnGap={3} fontVariantNumeric="tabular-nums">
      {detail.created && <Ago at={detail.created} />}
      {took !== null && <span>{t("run.took", { time: duration(took) })}</span>}
      {waited >= LONG_WAIT && <span>{t("run.waited", { time: duration(waited) })}</span>}
      <span>{t("run.stepsDone", { done, count: detail.steps.length })}</span>
      {isBehind && (
        <Text as="span" color="warning.fg">
          {t("run.behind")}
        </Text>
      )}
    </Flex>
  );
}
