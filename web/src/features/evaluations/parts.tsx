// The rest of an evaluation: scores by tag, and the rules of a gate.

import { Badge, Box, Flex, Text } from "@chakra-ui/react";
import { Check, X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { measureName } from "@/i18n/names";
import { count, measure, Section } from "@/ui";
import { Delta } from "./interval";
import type { Scores } from "./queries";

export function Tags({ of }: { of: Scores }) {
  const { t } = useTranslation();
  if (of.tags.length < 2) return null;
  return (
    <Section flush title={t("models.byTag")}>
      {of.tags.map((tag) => (
        <Flex
          key={tag.tag}
          px={{ base: 4, md: 5 }}
          py={3}
          gap={5}
          wrap="wrap"
          rowGap={1}
          align="baseline"
          borderTopWidth="1px"
          borderColor="border.muted"
          _first={{ borderTopWidth: 0 }}
        >
          <Box w="180px" minW={0}>
            <Text fontWeight="500" truncate title={tag.tag}>
              {tag.tag}
            </Text>
            <Text textStyle="caption" color="fg.muted">
              {t("data.rowCount", { count: tag.rows, rows: count(tag.rows) })}
            </Text>
          </Box>
          {tag.scores.map((score) => {
            const value = score.sides.model?.value ?? null;
            const delta = tag.differences.find((one) => one.score === score.name)?.delta ?? null;
            const { low = null, high = null } = tag.differences.find((one) => one.score === score.name) ?? {};
            return (
              <Box key={score.name} flex="1 1 160px">
                <Text textStyle="caption" color="fg.muted">
                  {measureName(score.name)}
                </Text>
                <Text textStyle="small" fontVariantNumeric="tabular-nums">
                  <Text as="span" fontWeight="600">
                    {value === null ? "–" : measure(value)}
                  </Text>
                  {delta !== null && (
                    <>
                      {"  Δ "}
                      <Delta value={delta} low={low} high={high} />
                    </>
                  )}
                </Text>
              </Box>
            );
          })}
        </Flex>
      ))}
    </Section>
  );
}

export function Gate({ of }: { of: Scores }) {
  const { t } = useTranslation();
  if (!of.gate) return null;
  return (
    <Section
      flush
      title={t("models.gate")}
      actions={
        <Badge variant="subtle" colorPalette={of.gate.passed ? "success" : "danger"}>
          {t(of.gate.passed ? "models.gatePassed" : "models.gateFailed")}
        </Badge>
      }
    >
      {of.gate.rules.map((rule) => (
        <Flex
          key={rule.rule}
          px={{ base: 4, md: 5 }}
          py={3}
          gap={3}
          borderTopWidth="1px"
          borderColor="border.muted"
          _first={{ borderTopWidth: 0 }}
        >
          <Box color={rule.passed ? "fg.success" : "fg.error"} pt="3px" flexShrink={0}>
            {rule.passed ? (
              <Check size={14} aria-label={t("models.gatePassed")} />
            ) : (
              <X size={14} aria-label={t("models.gateFailed")} />
            )}
          </Box>
          <Box minW={0}>
            <Text textStyle="code" overflowWrap="anywhere">
              {rule.rule}
            </Text>
            <Text textStyle="small" color="fg.muted" overflowWrap="anywhere">
              {rule.found}
            </Text>
          </Box>
        </Flex>
      ))}
    </Section>
  );
}
