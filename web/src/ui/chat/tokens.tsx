// A text by its tokens: those that a training learns are coloured and underlined.
import { Box, Text, VisuallyHidden } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import type { Part } from "./learned";
import { stretchesOf } from "./messages";

const shown = (text: string) => text.replaceAll("\n", "↵\n").replaceAll("\t", "⇥\t");

export interface TokensProps {
  pieces: readonly (readonly [string, number])[];
  /** Shows where one token ends and the next begins. */
  borders?: boolean;
}

export function Tokens({ pieces, borders = false }: TokensProps) {
  const { t } = useTranslation();
  const all = borders ? pieces.map(([text, weight]) => ({ text, weight, tokens: 1 })) : stretchesOf(pieces);
  const stretches = all.map((one, at) => ({ ...one, key: String(at) }));
  return (
    <Box textStyle="code" lineHeight="24px" whiteSpace="pre-wrap" overflowWrap="anywhere">
      {stretches.map((one) => {
        const isLearned = one.weight !== 0;
        return (
          <Text
            as={isLearned ? "mark" : "span"}
            key={one.key}
            title={isLearned ? t("chat.learned", { weight: one.weight }) : t("chat.notLearned")}
            color={isLearned ? "fg" : "fg.muted"}
            bg={isLearned ? "accent.subtle" : "transparent"}
            borderBottomWidth="2px"
            borderColor={isLearned ? (one.weight < 0 ? "danger.solid" : "accent.solid") : "transparent"}
            boxShadow={borders ? "inset -1px 0 0 var(--b-colors-border-emphasized)" : undefined}
            py="2px"
          >
            {shown(one.text)}
          </Text>
        );
      })}
    </Box>
  );
}

/** A message whose learned parts are coloured; what the template added to it stands in the face of code. */
export function Stretches({ parts }: { parts: readonly Part[] }) {
  const { t } = useTranslation();
  const keyed = parts.map((one, at) => ({ ...one, key: String(at) }));
  return keyed.map((one) =>
    one.weight === 0 ? (
      <span key={one.key}>{one.text}</span>
    ) : (
      <Text
        as="mark"
        key={one.key}
        title={t("chat.learned", { weight: one.weight })}
        color={one.isSaid ? "fg" : "fg.muted"}
        fontFamily={one.isSaid ? undefined : "mono"}
        fontSize={one.isSaid ? undefined : "12px"}
        bg={one.weight < 0 ? "danger.subtle" : "accent.subtle"}
        borderBottomWidth="2px"
        borderColor={one.weight < 0 ? "danger.solid" : "accent.solid"}
        py="1px"
        css={{ boxDecorationBreak: "clone" }}
      >
        <VisuallyHidden>{t("chat.learnedMark")} </VisuallyHidden>
        {one.isSaid ? one.text : shown(one.text)}
      </Text>
    ),
  );
}

/** What the colours say. */
export function TokensLegend() {
  const { t } = useTranslation();
  return (
    <Text as="span" display="block" textStyle="caption" color="fg.muted">
      <Text as="mark" bg="accent.subtle" color="fg" borderBottomWidth="2px" borderColor="accent.solid" px={1} me={2}>
        {t("chat.learnedShort")}
      </Text>
      {t("chat.notLearnedShort")}
    </Text>
  );
}
