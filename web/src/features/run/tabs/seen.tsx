// The rows of a training as it sees them: as chat, and as tokens that are learned or only read.
import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ChevronLeft, ChevronRight, MessagesSquare } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "@/api/client";
import { count, EmptyState, ErrorCard, Lines, percent, Section } from "@/ui";
import { Conversation, conversationOf, Tokens, TokensLegend } from "@/ui/chat";
import { Segments } from "@/ui/segments";
import { type RunDetail, type RunStep, runKey } from "../api";
import type { TabProps } from ".";

const PAGE = 5;
type View = "tokens" | "chat";

/** The name of the data of a step among the datasets: of a step of this run, the artifact that this run uses. */
export function datasetOf(detail: RunDetail, step: RunStep): string | null {
  const ref = step.shown?.inputs.data;
  if (!ref) return null;
  if (ref.startsWith("step:")) {
    const made = detail.steps.find((one) => one.step === ref.slice(5));
    const [recipe, number, name] = made?.run.split("/") ?? [];
    return recipe && number && name ? `${recipe}.${name}@${number}` : null;
  }
  return ref.replace(/^file:/, "");
}

/** What the tokens are made with: the base of the training. */
function tokenizerOf(detail: RunDetail, step: RunStep): string | undefined {
  const ref = String(step.shown?.settings.tokenizer ?? step.shown?.inputs.base ?? "");
  if (!ref.startsWith("step:")) return ref || undefined;
  const made = detail.steps.find((one) => one.step === ref.slice(5));
  const [recipe, number, name] = made?.run.split("/") ?? [];
  return name ? `${recipe}.${name}@${number}` : undefined;
}

export default function Seen({ detail, step, name }: TabProps) {
  const { t } = useTranslation();
  const [offset, setOffset] = useState(0);
  const [view, setView] = useState<View>("tokens");
  const [borders, setBorders] = useState(false);
  const dataset = datasetOf(detail, step);
  const tokenizer = tokenizerOf(detail, step);
  const render = (step.shown?.settings.render ?? {}) as Record<string, unknown>;
  const found = useQuery({
    queryKey: [...runKey(name), step.step, "seen", offset],
    queryFn: ({ signal }) =>
      answer(
        api.POST("/api/v1/datasets/{name}/preview", {
          params: { path: { name: dataset ?? "" } },
          body: { tokenizer, render, split: "train", offset, limit: PAGE, format: "auto", columns: {}, roles: {} },
          signal,
        }),
      ),
    enabled: dataset !== null,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry: false,
  });
  const page = found.data;
  if (dataset === null)
    return (
      <EmptyState icon={MessagesSquare} title={t("run.noData")}>
        {t("run.noDataHint")}
      </EmptyState>
    );
  if (found.error) return <ErrorCard error={found.error} onRetry={() => void found.refetch()} />;
  const isLast = page !== undefined && (page.total !== null ? offset + PAGE >= page.total : page.rows.length < PAGE);
  return (
    <Section
      title={t("run.seenTitle")}
      description={<TokensLegend />}
      flush
      actions={
        <>
          {view === "tokens" && (
            <Button
              size="xs"
              variant={borders ? "subtle" : "outline"}
              aria-pressed={borders}
              onClick={() => setBorders(!borders)}
            >
              {t("run.tokenBorders")}
            </Button>
          )}
          <Segments
            label={t("run.view")}
            value={view}
            onChange={(value) => setView(value as View)}
            options={[
              { value: "tokens", label: t("run.asTokens") },
              { value: "chat", label: t("run.asChat") },
            ]}
          />
        </>
      }
    >
      {!page && (
        <Box p={5} minH="420px">
          <Lines count={9} />
        </Box>
      )}
      {page?.rows.map((row, at) => (
        <Box
          key={row.row}
          px={{ base: 4, md: 5 }}
          py={4}
          borderTopWidth={at ? "1px" : 0}
          borderColor="border.muted"
          opacity={found.isPlaceholderData ? 0.5 : 1}
        >
          <Flex gap={3} textStyle="caption" color="fg.subtle" mb={2} wrap="wrap" fontVariantNumeric="tabular-nums">
            <span>{t("run.row", { number: count(row.row + 1) })}</span>
            {row.tokens != null && row.learned != null && (
              <span>
                {t("run.learnedOf", {
                  learned: count(row.learned),
                  count: row.tokens,
                  share: percent(row.tokens ? row.learned / row.tokens : 0),
                })}
              </span>
            )}
            <Text as="span" truncate minW={0}>
              {row.source}
            </Text>
          </Flex>
          {row.error && <Text color="danger.fg">{row.error}</Text>}
          {view === "tokens" && row.pieces.length > 0 ? (
            <Flex direction="column" gap={3}>
              {keyed(row.pieces).map(([key, pieces]) => (
                <Tokens key={key} pieces={pieces as [string, number][]} borders={borders} />
              ))}
            </Flex>
          ) : (
            row.value && <Conversation messages={conversationOf(row.value)} />
          )}
        </Box>
      ))}
      {page && (
        <Flex align="center" gap={3} px={{ base: 4, md: 5 }} py={3} borderTopWidth="1px" borderColor="border.muted">
          <Text textStyle="small" color="fg.muted" flex={1} fontVariantNumeric="tabular-nums">
            {t("run.rowsFromTo", {
              from: count(offset + 1),
              to: count(offset + page.rows.length),
              of: page.total === null ? "…" : count(page.total),
            })}
          </Text>
          <Button
            size="xs"
            variant="outline"
            disabled={offset === 0}
            onClick={() => setOffset(Math.max(0, offset - PAGE))}
          >
            <ChevronLeft size={14} aria-hidden />
            {t("run.previous")}
          </Button>
          <Button size="xs" variant="outline" disabled={isLast} onClick={() => setOffset(offset + PAGE)}>
            {t("run.next")}
            <ChevronRight size={14} aria-hidden />
          </Button>
        </Flex>
      )}
    </Section>
  );
}

const keyed = <One,>(all: readonly One[]): [string, One][] => all.map((one, at) => [String(at), one]);
