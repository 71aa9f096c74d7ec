// What a step made, as examples: answers before and after, scored items, rows.
import { Box, Button, Flex, Grid, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, Quote } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { count, EmptyState, ErrorCard, Lines, measure, Section } from "@/ui";
import { Conversation, conversationOf, messageOf } from "@/ui/chat";
import { type Answers, answersOf, answersQuery, type Score } from "../answers";
import type { DataRow } from "../api";
import type { TabProps } from ".";

const PAGE = 20;

export default function Samples({ name, step }: TabProps) {
  const { t } = useTranslation();
  const [most, setMost] = useState(PAGE);
  const found = useQuery({ ...answersQuery({ ...name, step: step.step }), enabled: step.shown !== null });
  if (found.error) return <ErrorCard error={found.error} onRetry={() => void found.refetch()} />;
  if (step.shown && !found.data)
    return (
      <Section title={t("run.tab.samples")}>
        <Box minH="360px">
          <Lines count={8} />
        </Box>
      </Section>
    );
  const samples = found.data;
  if (!samples?.rows.length)
    return (
      <EmptyState icon={Quote} title={t("run.noSamples")}>
        {t("run.noSamplesHint")}
      </EmptyState>
    );
  return (
    <Section
      title={t("run.tab.samples")}
      description={[
        samples.file?.replace("out/", ""),
        t(samples.isCut ? "run.samplesFirst" : "run.samplesAll", { count: samples.rows.length }),
        samples.bad ? t("run.badLines", { count: samples.bad }) : "",
      ]
        .filter(Boolean)
        .join(" · ")}
      flush
    >
      {samples.rows.slice(0, most).map((row) => (
        <Sample key={samples.rows.indexOf(row)} row={row} isFirst={row === samples.rows[0]} />
      ))}
      {samples.rows.length > most && (
        <Flex justify="center" py={3} borderTopWidth="1px" borderColor="border.muted">
          <Button size="xs" variant="ghost" onClick={() => setMost(most + PAGE)}>
            {t("run.showMore", { count: Math.min(PAGE, samples.rows.length - most) })}
          </Button>
        </Flex>
      )}
    </Section>
  );
}

function Sample({ row, isFirst }: { row: DataRow; isFirst: boolean }) {
  const answers = answersOf(row);
  const messages = conversationOf(row);
  return (
    <Box px={{ base: 4, md: 5 }} py={4} borderTopWidth={isFirst ? 0 : "1px"} borderColor="border.muted">
      {answers ? (
        <BeforeAfter answers={answers} />
      ) : messages.length ? (
        <Conversation messages={messages} />
      ) : (
        <Box as="pre" textStyle="code" m={0} whiteSpace="pre-wrap" overflowWrap="anywhere">
          {JSON.stringify(row, null, 2)}
        </Box>
      )}
    </Box>
  );
}

/** The question, and the answers of both models beside each other. */
function BeforeAfter({ answers }: { answers: Answers }) {
  const { t } = useTranslation();
  const { prompt, before, after, reference } = answers;
  return (
    <>
      {typeof prompt === "string" ? (
        <Text textStyle="code" color="fg.muted" whiteSpace="pre-wrap" overflowWrap="anywhere">
          {prompt}
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
            {score.name.replaceAll("_", " ")}{" "}
            {score.value === null ? "–" : Number.isInteger(score.value) ? count(score.value) : measure(score.value)}
            {score.why && ` · ${score.why}`}
          </span>
        </Flex>
      ))}
    </Box>
  );
}
