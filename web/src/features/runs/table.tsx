// Runs in a table: name, state, the measures that say most, the curve of the loss, how long, and when.
import { Box, Flex, Text, useBreakpointValue } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { Ago, type Column, duration, StatusBadge, Table } from "@/ui";
import { LossCurve } from "./curve";
import { Headlines } from "./measures";
import { RunName } from "./name";
import type { RunSummary } from "./queries";

export interface RunTableProps {
  runs: readonly RunSummary[];
  onOpen: (run: RunSummary) => void;
  height?: string;
  empty?: React.ReactNode;
  onEnd?: () => void;
  /** A first column: boxes to choose runs. */
  first?: Column<RunSummary>;
}

export function RunTable({ runs, onOpen, height, empty, onEnd, first }: RunTableProps) {
  const { t } = useTranslation();
  const isPhone = useBreakpointValue({ base: true, md: false }, { ssr: false }) ?? false;
  const columns: Column<RunSummary>[] = [
    {
      key: "name",
      title: t("runs.name"),
      width: "minmax(0, 1.4fr)",
      cell: (run) => (
        <Box minW={0}>
          <Flex minW={0}>
            <RunName {...run} />
          </Flex>
          {isPhone && <Came of={run} hasTime />}
        </Box>
      ),
    },
    { key: "state", title: t("runs.state"), width: "104px", cell: (run) => <StatusBadge state={run.state} /> },
    {
      key: "measures",
      title: t("runs.measures"),
      width: "minmax(0, 2.2fr)",
      wideOnly: true,
      cell: (run) => <Came of={run} />,
    },
    { key: "curve", title: t("live.loss"), width: "96px", wideOnly: true, cell: (run) => <LossCurve run={run} /> },
    {
      key: "seconds",
      title: t("runs.time"),
      width: "76px",
      align: "end",
      wideOnly: true,
      cell: (run) => (
        <Box textStyle="small" color="fg.muted">
          {run.seconds ? duration(run.seconds) : "–"}
        </Box>
      ),
    },
    {
      key: "created",
      title: t("runs.created"),
      width: "88px",
      align: "end",
      cell: (run) => (
        <Box textStyle="small" color="fg.muted">
          {run.created && Number.isFinite(run.created) ? <Ago at={run.created} /> : "–"}
        </Box>
      ),
    },
  ];
  return (
    <Table
      label={t("nav.runs")}
      rows={runs}
      columns={first ? [first, ...columns] : columns}
      keyOf={(run) => run.run}
      onOpen={onOpen}
      height={height}
      rowHeight={isPhone ? 60 : 44}
      empty={empty}
      onEnd={onEnd}
    />
  );
}

/** What a run came to: why it did not succeed, or what it measured; on a phone also how long it took. */
function Came({ of: run, hasTime = false }: { of: RunSummary; hasTime?: boolean }) {
  if (run.reason && run.state !== "succeeded")
    return (
      <Text textStyle="small" color="fg.muted" truncate title={run.reason}>
        {run.reason}
      </Text>
    );
  if (!hasTime) return <Headlines steps={run.steps} />;
  return (
    <Flex gap={2} minW={0} textStyle="small" color="fg.muted">
      {run.seconds !== null && <Box whiteSpace="nowrap">{duration(run.seconds)}</Box>}
      <Headlines steps={run.steps} />
    </Flex>
  );
}
