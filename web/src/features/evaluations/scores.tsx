// Scores of all sides with their intervals, and how far the sides are apart.

import { Badge, Box, Flex, Text } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { measureName } from "@/i18n/names";
import { count, measure } from "@/ui";
import { toneOf, useVerdict } from "@/ui/verdict";
import { brief, Delta, type Interval, IntervalBar, scaleOf } from "./interval";
import type { Difference, Score, Scores } from "./queries";

/** The colour of a side: the baseline is quiet where there are others. */
export function colourOf(side: string, scores: Pick<Scores, "sides" | "baseline">): number {
  if (side === "one") return 1;
  if (side === "other") return 2;
  const names = Object.keys(scores.sides);
  if (names.length < 2) return 1;
  if (side === scores.baseline) return 6;
  return 1 + (names.filter((one) => one !== scores.baseline).indexOf(side) % 5);
}

/** How a side is called: by its reference, where its own name says nothing. */
export const nameOf = (side: string, scores: Pick<Scores, "sides">): string =>
  (side === "model" || side === "base" || side === "one" || side === "other") && scores.sides[side]
    ? (scores.sides[side] as string)
    : side;

export function ScoreTable({ scores }: { scores: Scores }) {
  return (
    <Box>
      {scores.scores.map((one) => (
        <ScoreRow key={one.name} score={one} of={scores} />
      ))}
    </Box>
  );
}

function ScoreRow({ score, of }: { score: Score; of: Scores }) {
  const { t } = useTranslation();
  const sides = Object.keys(of.sides).filter((side) => score.sides[side]?.value != null);
  const differences = of.differences.filter((one) => one.score === score.name && one.margin === null);
  const intervals = sides.flatMap((side): Interval[] => {
    const { value, low, high } = score.sides[side] ?? {};
    return value == null ? [] : [{ value, low: low ?? value, high: high ?? value }];
  });
  const scale = scaleOf(intervals, score.higher_is_better);
  const unscored = Object.entries(score.unscored).filter(([, rows]) => rows);
  return (
    <Box
      as="section"
      aria-label={measureName(score.name)}
      px={{ base: 4, md: 5 }}
      py={4}
      borderTopWidth="1px"
      borderColor="border.muted"
      _first={{ borderTopWidth: 0 }}
    >
      <Flex align="baseline" gap={3} mb={2} wrap="wrap">
        <Text as="h3" fontWeight="600">
          {measureName(score.name)}
        </Text>
        <Text textStyle="caption" color="fg.muted">
          {t("data.rowCount", { count: score.rows, rows: count(score.rows) })}
          {" · "}
          {t(score.higher_is_better ? "models.higher" : "models.lower")}
          {unscored.map(
            ([side, rows]) => ` · ${t("models.unscored", { name: nameOf(side, of), count: rows, rows: count(rows) })}`,
          )}
        </Text>
      </Flex>
      {sides.map((side) => {
        const { value = null, low = null, high = null } = score.sides[side] ?? {};
        if (value === null) return null;
        return (
          <Flex key={side} align="center" gap={4} py={1} wrap={{ base: "wrap", md: "nowrap" }} rowGap={0}>
            <Text
              textStyle="small"
              color="fg.muted"
              truncate
              title={nameOf(side, of)}
              w={{ base: "50%", md: "200px" }}
              flexGrow={{ base: 1, md: 0 }}
              flexShrink={0}
            >
              {nameOf(side, of)}
            </Text>
            <Text
              w={{ base: "auto", md: "190px" }}
              flexShrink={0}
              fontVariantNumeric="tabular-nums"
              whiteSpace="nowrap"
              textAlign={{ base: "end", md: "start" }}
            >
              <Text as="span" fontWeight="600">
                {measure(value)}
              </Text>
              {low !== null && high !== null && (
                <Text as="span" color="fg.muted" textStyle="small">
                  {" "}
                  [{brief(low)}, {brief(high)}]
                </Text>
              )}
            </Text>
            <Box flex="1 1 140px" minW={{ base: "full", md: 0 }}>
              {low !== null && high !== null && (
                <IntervalBar
                  of={{ value, low, high }}
                  scale={scale}
                  colour={colourOf(side, of)}
                  label={t("models.scoreInterval", { value: measure(value), low: measure(low), high: measure(high) })}
                />
              )}
            </Box>
          </Flex>
        );
      })}
      {differences.map((one) => (
        <DifferenceLine key={`${one.base}-${one.candidate}`} difference={one} of={of} />
      ))}
    </Box>
  );
}

/** `replay – base: +0.31 [0.22, 0.40], better`. */
export function DifferenceLine({ difference, of }: { difference: Difference; of: Scores }) {
  const { t } = useTranslation();
  const verdictOf = useVerdict();
  const { delta, low, high, verdict, margin } = difference;
  if (delta === null) return null;
  const names = `${nameOf(difference.candidate, of)} – ${nameOf(difference.base, of)}`;
  return (
    <Flex align="center" gap={3} mt={2} wrap="wrap" rowGap={1} textStyle="small">
      <Text color="fg.muted" truncate title={names} maxW="full">
        Δ {names}
      </Text>
      <Delta value={delta} low={low} high={high} />
      {verdict && (
        <Badge variant="subtle" colorPalette={toneOf(verdict)}>
          {verdictOf(verdict)}
          {margin !== null && ` (${measure(margin)})`}
        </Badge>
      )}
      {difference.p_value !== null && (
        <Text textStyle="caption" color="fg.muted" title={difference.test}>
          {difference.p_value < 0.001 ? "p < 0.001" : `p ${brief(difference.p_value)}`}
          {(difference.corrected_for ?? 1) > 1 && `, ${t("models.correctedFor", { number: difference.corrected_for })}`}
        </Text>
      )}
      {difference.detectable !== null && verdict === "not enough evidence" && (
        <Text textStyle="caption" color="fg.muted">
          {t("models.detectable", { value: brief(difference.detectable) })}
        </Text>
      )}
    </Flex>
  );
}
