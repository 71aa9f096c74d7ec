// The numbers above a chart. They follow the crosshair at each move, so they are written without React.
import { Box, Flex, Text } from "@chakra-ui/react";
import { type RefObject, useRef } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../format";
import { reading } from "./numbers";
import { type ChartSeries, columnAt } from "./plot";
import type { Columns } from "./points";

const FURTHEST = 400;

/** The value of a column at a place, or the last one before it that is near. */
export function valueAt(columns: Columns, column: number, at: number): number | null {
  const values = columns[column];
  for (let seat = at; values && seat >= 0 && seat > at - FURTHEST; seat--) {
    const value = values[seat];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

export interface ReadoutsProps {
  series: readonly ChartSeries[];
  columns: Columns;
  smoothing: number;
  /** Set to what writes the numbers of a place. */
  write: RefObject<(at: number) => void>;
}

export function Readouts({ series, columns, smoothing, write }: ReadoutsProps) {
  const { t } = useTranslation();
  const row = useRef<HTMLDivElement>(null);
  write.current = (at) => {
    const put = (name: string, text: string) => {
      const seat = row.current?.querySelector(`[data-number="${name}"]`);
      if (seat && seat.textContent !== text) seat.textContent = text;
    };
    series.forEach((_, seat) => {
      const { raw, mean } = columnAt(series, seat, smoothing);
      put(`mean ${seat}`, reading(valueAt(columns, mean, at)));
      if (raw !== mean) put(`raw ${seat}`, t("chart.raw", { value: reading(valueAt(columns, raw, at)) }));
    });
    const step = columns[0][at];
    put("step", step === undefined ? "" : t("chart.atStep", { step: count(step) }));
  };
  return (
    <Flex
      ref={row}
      px={{ base: 4, md: 5 }}
      minH="20px"
      align="center"
      wrap={{ base: "wrap", md: "nowrap" }}
      columnGap={4}
      textStyle="caption"
      fontVariantNumeric="tabular-nums"
      overflow="hidden"
    >
      {series.map((one, seat) => (
        <Flex as="span" key={one.key} align="center" gap={1.5} whiteSpace="nowrap">
          <Key series={one} />
          {series.length > 1 && (
            <Text as="span" color="fg.muted">
              {one.label}
            </Text>
          )}
          <Text as="span" fontWeight="550" minW="44px" data-number={`mean ${seat}`} />
          <Text as="span" color="fg.subtle" hideBelow="sm" data-number={`raw ${seat}`} />
        </Flex>
      ))}
      <Text as="span" color="fg.subtle" ms="auto" whiteSpace="nowrap" data-number="step" />
    </Flex>
  );
}

/** A line or a ring in the colour of the series. */
function Key({ series }: { series: ChartSeries }) {
  return series.sparse ? (
    <Box as="span" boxSize="8px" borderRadius="full" borderWidth="2px" borderColor={`series.${series.colour}`} />
  ) : (
    <Box as="span" w="10px" h="3px" borderRadius="full" bg={`series.${series.colour}`} />
  );
}
