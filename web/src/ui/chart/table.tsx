// The numbers of a chart as a table, for a screen reader and for those who want the numbers.
import { Box } from "@chakra-ui/react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../format";
import { type Column, Table } from "../table";
import { reading } from "./numbers";
import { type ChartSeries, columnAt } from "./plot";
import type { Columns } from "./points";

export interface CurveTableProps {
  label: string;
  series: readonly ChartSeries[];
  columns: Columns;
  smoothing: number;
  height: number;
  onPick?: (step: number) => void;
}

export function CurveTable({ label, series, columns, smoothing, height, onPick }: CurveTableProps) {
  const { t } = useTranslation();
  const seats = useMemo(() => columns[0].map((_, at) => columns[0].length - 1 - at), [columns]);
  const value = (column: number, at: number) => {
    const found = (columns[column] as (number | null)[])[at];
    return found === null || found === undefined ? "–" : reading(found);
  };
  const cells: Column<number>[] = [
    { key: "step", title: t("chart.step"), width: "90px", cell: (at) => count(columns[0][at] ?? 0) },
    ...series.flatMap((one, seat) => {
      const { raw, mean } = columnAt(series, seat, smoothing);
      const plain: Column<number> = {
        key: one.key,
        title: one.label,
        width: "minmax(80px, 1fr)",
        align: "end",
        cell: (at) => value(raw, at),
      };
      const average: Column<number> = {
        ...plain,
        key: `${one.key} mean`,
        title: t("chart.average"),
        cell: (at) => value(mean, at),
      };
      return raw === mean ? [plain] : [plain, average];
    }),
  ];
  return (
    <Box h={`${height}px`} overflow="hidden">
      <Table
        label={label}
        rows={seats}
        columns={cells}
        keyOf={(at) => String(at)}
        rowHeight={32}
        height={`${height - 36}px`}
        onOpen={onPick && ((at) => onPick(columns[0][at] as number))}
      />
    </Box>
  );
}
