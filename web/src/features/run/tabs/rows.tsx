// The row ledger: which rows a step of the training read, and what each row's loss was at each visit.
import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Rows3, X } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { count, EmptyState, ErrorCard, Rows, Section } from "@/ui";
import { Chart, type Range, reading } from "@/ui/chart";
import { Conversation, conversationOf } from "@/ui/chat";
import { Segments } from "@/ui/segments";
import { type LedgerRow, rowsQuery } from "../api";
import { panelsOf } from "../curves";
import { type RunSearch, SIDES, type Side, SORTS, type Sort } from "../search";
import type { TabProps } from ".";

export default function LedgerRows({ name, step, live, search }: TabProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { sort = "last", side = "worst" } = search;
  const at = search.at ?? null;
  const [range, setRange] = useState<Range | null>(null);
  const found = useQuery({
    ...rowsQuery({ ...name, step: step.step }, { at, sort, side }),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const show = (changed: Pick<RunSearch, "at" | "sort" | "side">, replace = false) =>
    void navigate({
      to: "/runs/$recipe/$number",
      params: name,
      search: { step: step.step, tab: "rows", at: search.at, sort: search.sort, side: search.side, ...changed },
      resetScroll: false,
      replace,
    });
  const go = (to: number | undefined) => show({ at: to });
  const panel = panelsOf(live?.curves ?? {})[0];
  const ledger = found.data;
  const rows = ledger ? (at === null ? ledger[side] : [...ledger.named, ...ledger.worst, ...ledger.best]) : [];
  return (
    <Flex direction="column" gap={{ base: 5, md: 6 }}>
      {panel && (
        <Section title={t("run.pickTitle")} description={t("run.pickHint")} flush>
          <Box pt={3} pb={2}>
            <Chart
              label={t("run.chartOf", { what: panel.key })}
              series={panel.series.slice(0, 1)}
              height={150}
              range={range}
              onRange={setRange}
              checkpoints={live?.checkpoints}
              picked={at}
              onPick={go}
            />
          </Box>
        </Section>
      )}
      {found.error ? (
        <ErrorCard error={found.error} onRetry={() => void found.refetch()} />
      ) : (
        <Section
          title={at === null ? t("run.ledger") : t("run.rowsOfStep", { step: count(at) })}
          description={ledger?.notes.join(" ")}
          flush
          actions={
            at === null ? (
              <>
                <Segments
                  label={t("run.which")}
                  value={side}
                  onChange={(value) => show({ side: value as Side }, true)}
                  options={SIDES.map((value) => ({ value, label: t(`run.${value}`) }))}
                />
                <Segments
                  label={t("run.sortBy")}
                  value={sort}
                  onChange={(value) => show({ sort: value as Sort }, true)}
                  options={SORTS.map((value) => ({ value, label: t(`run.${value}`) }))}
                />
              </>
            ) : (
              <Button size="xs" variant="outline" onClick={() => go(undefined)}>
                <X size={13} aria-hidden />
                {t("run.allRows")}
              </Button>
            )
          }
        >
          {!ledger && <Rows count={8} height={52} />}
          {ledger && rows.length === 0 && (
            <EmptyState icon={Rows3} title={t("run.noRows")} compact>
              {t("run.noRowsHint")}
            </EmptyState>
          )}
          <Box opacity={found.isPlaceholderData ? 0.5 : 1}>
            {rows.map((row, seat) => (
              <Entry key={row.id} row={row} at={at} isFirst={seat === 0} onStep={go} />
            ))}
          </Box>
        </Section>
      )}
    </Flex>
  );
}

interface EntryProps {
  row: LedgerRow;
  at: number | null;
  isFirst: boolean;
  onStep: (step: number) => void;
}

function Entry({ row, at, isFirst, onStep }: EntryProps) {
  const { t } = useTranslation();
  const here = at === null ? undefined : row.visits.find((visit) => visit.step === at);
  const messages = row.row ? conversationOf(row.row) : [];
  const gist = messages.find((one) => one.role === "user")?.text ?? messages[0]?.text ?? row.missing ?? row.id;
  return (
    <Box
      as="details"
      borderTopWidth={isFirst ? 0 : "1px"}
      borderColor="border.muted"
      css={{ "&[open] > summary .gist": { color: "fg.muted" } }}
    >
      <Flex
        as="summary"
        align="center"
        gap={4}
        px={{ base: 4, md: 5 }}
        minH="52px"
        py={2}
        cursor="pointer"
        listStyleType="none"
        _hover={{ bg: "bg.subtle" }}
        css={{ "&::-webkit-details-marker": { display: "none" } }}
        _focusVisible={{ outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" }}
      >
        <Text w="48px" flexShrink={0} fontWeight="600" fontVariantNumeric="tabular-nums">
          {reading(Number(here?.loss ?? row.last))}
        </Text>
        <Text className="gist" flex={1} minW={0} truncate>
          {gist}
        </Text>
        <Text
          textStyle="caption"
          color="fg.subtle"
          hideBelow="sm"
          whiteSpace="nowrap"
          fontVariantNumeric="tabular-nums"
        >
          {t("run.visits", { count: row.visits.length })}
        </Text>
      </Flex>
      <Box px={{ base: 4, md: 5 }} pb={5} ps={{ base: 4, sm: "84px" }}>
        {row.row ? <Conversation messages={messages} /> : <Text color="fg.muted">{row.missing}</Text>}
        <Flex
          mt={3}
          gap={2}
          wrap="wrap"
          align="center"
          textStyle="caption"
          color="fg.muted"
          fontVariantNumeric="tabular-nums"
        >
          {row.visits.map((visit) => (
            <Button
              key={`${visit.epoch} ${visit.step}`}
              size="2xs"
              variant="outline"
              onClick={() => onStep(visit.step)}
            >
              {t("run.visit", { step: count(visit.step), loss: reading(Number(visit.loss)) })}
            </Button>
          ))}
          {row.copies > 1 && <span>{t("run.copies", { count: row.copies })}</span>}
          <Text as="span" textStyle="code" color="fg.subtle">
            {row.id}
          </Text>
        </Flex>
      </Box>
    </Box>
  );
}
