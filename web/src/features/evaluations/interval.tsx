// A value with its interval on a line that starts at zero.
import { Box, Text } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { measure, signed as signedAs } from "@/ui";

export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** The ends of a scale that shows all of these, from zero; shares are shown on all that they can be. */
export function scaleOf(all: readonly Interval[], isShare: boolean): [number, number] {
  const ends = all.flatMap((one) => [one.low, one.high, one.value]);
  const [low, high] = [Math.min(0, ...ends), Math.max(...ends)];
  if (low === 0 && high <= 1 && isShare) return [0, 1];
  return [low, high + (high - low || 1) * 0.04];
}

export interface IntervalBarProps {
  of: Interval;
  scale: [number, number];
  colour?: number;
  label: string;
}

export function IntervalBar({ of, scale: [from, to], colour = 1, label }: IntervalBarProps) {
  const at = (value: number) => `${((value - from) / (to - from)) * 100}%`;
  return (
    <Box position="relative" h="16px" role="img" aria-label={label}>
      <Box position="absolute" top="7px" left={0} right={0} h="2px" bg="bg.muted" borderRadius="full" />
      {from < 0 && to > 0 && (
        <Box position="absolute" top={0} bottom={0} w="1px" bg="border.emphasized" style={{ left: at(0) }} />
      )}
      <Box
        position="absolute"
        top="6px"
        h="4px"
        minW="2px"
        borderRadius="full"
        bg={`series.${colour}`}
        opacity={0.4}
        style={{ left: at(of.low), right: `calc(100% - ${at(of.high)})` }}
      />
      <Box
        position="absolute"
        top="4px"
        boxSize="8px"
        ms="-4px"
        borderRadius="full"
        bg={`series.${colour}`}
        style={{ left: at(of.value) }}
      />
    </Box>
  );
}

/** Three digits: an interval says how many there are. */
export const brief = (value: number) => measure(Number(value.toPrecision(3)));

const signed = (value: number) => signedAs(Number(value.toPrecision(3)));

/** A difference in figures. */
export function Delta({ value, low, high }: { value: number; low: number | null; high: number | null }) {
  const { t } = useTranslation();
  return (
    <Text as="span" fontVariantNumeric="tabular-nums" whiteSpace="nowrap">
      <Text as="span" fontWeight="600">
        {signed(value)}
      </Text>
      {low !== null && high !== null && (
        <Text
          as="span"
          color="fg.muted"
          textStyle="small"
          aria-label={t("models.interval", { delta: signed(value), low: signed(low), high: signed(high) })}
        >
          {" "}
          [{signed(low)}, {signed(high)}]
        </Text>
      )}
    </Text>
  );
}
