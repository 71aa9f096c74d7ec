// A question with its answers: of the model before and of the model after, with their scores and the reference.

import { Box, Flex, Grid, Text } from "@chakra-ui/react";
import { CircleCheck, CircleX } from "lucide-react";
import { useTranslation } from "react-i18next";
import { measureName } from "@/i18n/names";
import { count, measure } from "@/ui";
import { Conversation, messageOf, promptText } from "@/ui/chat";
import type { Answers, Score } from "./answers";

/** The question, and the answers of both models beside each other. */
export function BeforeAfter({ answers }: { answers: Answers }) {
  const { t } = useTranslation();
  const { prompt, before, after, reference } = answers;
  return (
    <>
      {typeof prompt === "string" ? (
        <Text textStyle="code" color="fg.muted" whiteSpace="pre-wrap" overflowWrap="anywhere">
          {promptText(prompt)}
        </Text>
      ) : (
        <Conversation messages={prompt.map(messageOf)} />
      )}
      <Grid
        mt={4}
        templateColumns={{
          base: "minmax(0, 1fr)",
          md: before === null ? "minmax(0, 1fr)" : "repeat(2, minmax(0, 1fr))",
        }}
        gap={4}
      >
        {before !== null && <Answer title={t("run.before")} text={before} scores={answers.scoresBefore} />}
        <Answer title={before === null ? t("run.answer") : t("run.after")} text={after} scores={answers.scores} isNew />
      </Grid>
      {reference !== null && reference !== after && (
        <Box mt={3}>
          <Text textStyle="caption" color="fg.subtle">
            {t("run.reference")}
          </Text>
          <Text textStyle="code" color="fg.muted" whiteSpace="pre-wrap" overflowWrap="anywhere">
            {reference}
          </Text>
        </Box>
      )}
      {reference !== null && reference === after && (
        <Flex mt={3} align="center" gap={1.5} textStyle="caption" color="success.fg">
          <CircleCheck size={13} aria-hidden />
          {t("run.sameAsReference")}
        </Flex>
      )}
    </>
  );
}

function Answer({
  title,
  text,
  scores,
  isNew = false,
}: {
  title: string;
  text: string;
  scores: readonly Score[];
  isNew?: boolean;
}) {
  const { t } = useTranslation();
  return (
    <Box
      borderWidth="1px"
      borderColor={isNew ? "accent.border" : "border"}
      bg={isNew ? "accent.subtle" : "bg.subtle"}
      borderRadius="l2"
      px={4}
      py={3}
      minW={0}
    >
      <Text textStyle="caption" color={isNew ? "accent.fg" : "fg.muted"} mb={1}>
        {title}
      </Text>
      <Text whiteSpace="pre-wrap" overflowWrap="anywhere" textStyle={text.startsWith("<") ? "code" : "body"}>
        {text || t("chat.empty")}
      </Text>
      {scores.map((score) => (
        <Flex key={score.name} mt={2} gap={1.5} align="flex-start" textStyle="caption" color="fg.muted">
          <Box
            mt="2px"
            flexShrink={0}
            color={score.value === 1 ? "success.fg" : score.value === 0 ? "danger.fg" : "fg.subtle"}
          >
            {score.value === 0 ? <CircleX size={12} aria-hidden /> : <CircleCheck size={12} aria-hidden />}
          </Box>
          <span>
            {measureName(score.name)}{" "}
            {score.value === null ? "–" : Number.isInteger(score.value) ? count(score.value) : measure(score.value)}
            {score.why && ` · ${score.why}`}
          </span>
        </Flex>
      ))}
    </Box>
  );
}
