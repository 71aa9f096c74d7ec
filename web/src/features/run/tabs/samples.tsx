// What a step made, as examples: answers before and after, scored items, rows.
import { Box, Button, Flex } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Quote } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { EmptyState, ErrorCard, Lines, Section } from "@/ui";
import { Conversation, conversationOf } from "@/ui/chat";
import { answersOf, answersQuery } from "../answers";
import type { DataRow } from "../api";
import { BeforeAfter } from "../beforeAfter";
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
