// What differs, in tables: settings, inputs, measures.

import { Box, Text } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { measureName, words } from "@/i18n/names";
import { type Column, measure, Section, Table } from "@/ui";
import { type MeasureRow, runName, type SettingRow, valueText } from "./queries";

function Value({ value }: { value: unknown }) {
  const text = valueText(value, measure);
  return (
    <Text textStyle={typeof value === "number" ? "small" : "code"} truncate title={text}>
      {text}
    </Text>
  );
}

function Name({ step, name, shown }: { step: string; name: string; shown: string }) {
  return (
    <Box minW={0} title={`${step}.${name}`}>
      {step && (
        <Text hideFrom="md" textStyle="caption" color="fg.muted" truncate>
          {step}
        </Text>
      )}
      <Text truncate>
        {step && (
          <Box as="span" hideBelow="md" color="fg.muted">
            {step} ·{" "}
          </Box>
        )}
        {shown}
      </Text>
    </Box>
  );
}

function Head({ run, colour }: { run: string; colour: 1 | 2 }) {
  return (
    <Box display="inline-flex" alignItems="center" gap={2}>
      <Box boxSize="8px" borderRadius="full" bg={`series.${colour}`} aria-hidden />
      {runName(run)}
    </Box>
  );
}

interface TableProps<Row> {
  title: string;
  description?: string;
  rows: readonly Row[];
  runs: readonly [string, string];
}

export function Changes({ title, description, rows, runs }: TableProps<SettingRow>) {
  const { t } = useTranslation();
  if (!rows.length) return null;
  const columns: Column<SettingRow>[] = [
    {
      key: "name",
      title: t("compare.setting"),
      width: "minmax(0, 1.4fr)",
      cell: (row) => <Name {...row} shown={words(row.name)} />,
    },
    {
      key: "one",
      title: <Head run={runs[0]} colour={1} />,
      width: "minmax(0, 1fr)",
      cell: (row) => <Value value={row.one} />,
    },
    {
      key: "other",
      title: <Head run={runs[1]} colour={2} />,
      width: "minmax(0, 1fr)",
      cell: (row) => <Value value={row.other} />,
    },
  ];
  return (
    <Section flush title={title} description={description}>
      <Table label={title} rows={rows} columns={columns} keyOf={(row) => `${row.step}.${row.name}`} rowHeight={44} />
    </Section>
  );
}

export function Measures({ title, rows, runs }: TableProps<MeasureRow>) {
  const { t } = useTranslation();
  if (!rows.length) return null;
  const columns: Column<MeasureRow>[] = [
    {
      key: "name",
      title: t("compare.measure"),
      width: "minmax(0, 1.6fr)",
      cell: (row) => <Name {...row} shown={measureName(row.name)} />,
    },
    {
      key: "one",
      title: <Head run={runs[0]} colour={1} />,
      width: "minmax(0, 1fr)",
      align: "end",
      cell: (row) => <Value value={row.one} />,
    },
    {
      key: "other",
      title: <Head run={runs[1]} colour={2} />,
      width: "minmax(0, 1fr)",
      align: "end",
      cell: (row) => <Value value={row.other} />,
    },
    {
      key: "delta",
      title: "Δ",
      width: "minmax(72px, 0.7fr)",
      align: "end",
      cell: (row) => (
        <Text textStyle="small" fontWeight="600" whiteSpace="nowrap">
          {row.delta === null
            ? "–"
            : `${row.delta > 0 ? "+" : row.delta < 0 ? "−" : ""}${measure(Math.abs(row.delta))}`}
        </Text>
      ),
    },
  ];
  return (
    <Section flush title={title}>
      <Table label={title} rows={rows} columns={columns} keyOf={(row) => `${row.step}.${row.name}`} rowHeight={44} />
    </Section>
  );
}
