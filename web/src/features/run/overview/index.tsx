// The overview of a step: its curves, what it measured and reported, what was chosen for the reader.

import { Flex, Grid } from "@chakra-ui/react";
import { Activity } from "lucide-react";
import { useTranslation } from "react-i18next";
import { measureName } from "@/i18n/names";
import { Block, EmptyState, KeyValue, measure, Section } from "@/ui";
import { later } from "@/ui/later";
import type { TabProps } from "../tabs";
import { isTraining, notStarted, stateOf } from "../useRun";
import { Chosen, Notes } from "./chosen";
import { Curves } from "./curves";
import { Report } from "./report";
import { restOf } from "./rest";

const CURVES = 410;
const shown = (value: unknown): string => (typeof value === "object" ? JSON.stringify(value) : measure(value));

const Scored = later(
  () => import("./scores"),
  () => <Block height={CURVES} />,
);

export function Overview({ name, step, live, isLoading, detail, search }: TabProps) {
  const { t } = useTranslation();
  const isScored = step.shown?.kind === "evaluation";
  const measures = restOf(step.shown?.metrics ?? {}, isScored);
  const chosen = live?.chosen.length ? live.chosen : (step.shown?.chosen ?? []);
  const notes = live?.notes.length
    ? live.notes
    : (step.shown?.notes ?? []).map((text) => ({ level: "info" as const, text }));
  const hasCurves = Object.values(live?.curves ?? {}).some((points) => points.steps.length > 0);
  const tables = (live?.tables ?? []).filter((table) => !isScored || table.columns[0] !== "score");
  const isRunning = stateOf(step, live) === "running";
  const isBare = !isLoading && !hasCurves && measures.length + chosen.length + notes.length + tables.length === 0;
  if (!step.shown)
    return (
      <EmptyState icon={Activity} title={t("run.notStarted")}>
        {t(notStarted(detail, step.state))}
      </EmptyState>
    );
  if (isBare)
    return (
      <EmptyState icon={Activity} title={t(isRunning ? "run.nothingYet" : "run.nothingMeasured")}>
        {isRunning ? t("run.nothingYetHint") : ""}
      </EmptyState>
    );
  return (
    <Flex direction="column" gap={{ base: 5, md: 6 }}>
      {isLoading && !hasCurves && isTraining(step, live) && <Block height={CURVES} />}
      {hasCurves && live && <Curves name={name} step={step} live={live} picked={search.at ?? null} />}
      {isScored && <Scored run={step.run} />}
      {tables.map((table) => (
        <Report key={table.title} table={table} />
      ))}
      {(measures.length > 0 || chosen.length > 0) && (
        <Grid
          templateColumns={{
            base: "minmax(0, 1fr)",
            xl: measures.length && chosen.length ? "minmax(0, 2fr) minmax(0, 3fr)" : "minmax(0, 1fr)",
          }}
          gap={{ base: 5, md: 6 }}
          alignItems="start"
        >
          {measures.length > 0 && (
            <Section title={t("run.measures")}>
              <KeyValue
                nameWidth="150px"
                pairs={measures.map(([key, value]) => ({ key, name: measureName(key), value: shown(value) }))}
              />
            </Section>
          )}
          {chosen.length > 0 && <Chosen chosen={chosen} />}
        </Grid>
      )}
      {notes.length > 0 && <Notes notes={notes} />}
    </Flex>
  );
}
