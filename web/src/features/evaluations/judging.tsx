// What judges said besides scores: how far they agree, what they cost, and what is missing.

import { Badge, Box, Flex, Grid, Text } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { measureName } from "@/i18n/names";
import { type Column, count, Figure, measure, percent, Section, Table } from "@/ui";
import { IntervalBar } from "./interval";
import type { Judging } from "./queries";

type Judge = Judging["judges"][number];
type Agreement = Judging["agreement"][number];

const FULL: [number, number] = [-1, 1];

export function JudgingPart({ of }: { of: Judging }) {
  const { t } = useTranslation();
  const reasons = [...Object.entries(of.missing_reasons), ...Object.entries(of.not_asked)];
  return (
    <Grid templateColumns={{ base: "minmax(0, 1fr)", lg: "repeat(2, minmax(0, 1fr))" }} gap={5} alignItems="start">
      <Section title={t("models.agreement")} description={t("models.agreementHint")}>
        {of.agreement.length === 0 && <Text color="fg.muted">{t("models.noAgreement")}</Text>}
        {of.agreement.map((one) => (
          <AgreementRow key={`${one.criterion}-${one.between}-${one.judge ?? ""}-${one.coefficient}`} of={one} />
        ))}
        {of.pairs && (
          <Flex gap={8} mt={5} wrap="wrap">
            <Figure
              name={t("models.winRate")}
              value={of.pairs.win_rate === null ? "–" : measure(of.pairs.win_rate)}
              hint={
                of.pairs.low !== null && of.pairs.high !== null
                  ? `[${measure(of.pairs.low)}, ${measure(of.pairs.high)}]`
                  : undefined
              }
            />
            <Figure
              name={t("models.pairs")}
              value={count(of.pairs.pairs)}
              hint={t("models.pairsHint", {
                won: count(of.pairs.won),
                lost: count(of.pairs.lost),
                tied: count(of.pairs.tied),
              })}
            />
            {of.pairs.position.map((one) => (
              <Figure
                key={one.judge}
                name={one.judge}
                value={one.inconsistent === null ? "–" : percent(one.inconsistent)}
                hint={t("models.inconsistent")}
              />
            ))}
          </Flex>
        )}
      </Section>
      <Section flush title={t("models.cost")} description={t("models.costHint")}>
        <Costs of={of} />
        <Box px={5} py={3} borderTopWidth="1px" borderColor="border.muted" textStyle="small" color="fg.muted">
          {t("models.missingVerdicts", { count: of.replies, missing: count(of.missing), replies: count(of.replies) })}
          {reasons.length > 0 && ` ${reasons.map(([why, rows]) => `${why}: ${count(rows)}`).join(", ")}`}
        </Box>
      </Section>
    </Grid>
  );
}

function AgreementRow({ of }: { of: Agreement }) {
  const { t } = useTranslation();
  return (
    <Box py={2} borderTopWidth="1px" borderColor="border.muted" _first={{ borderTopWidth: 0, pt: 0 }}>
      <Flex gap={3} align="baseline">
        <Text fontWeight="500" truncate>
          {measureName(of.criterion)}
        </Text>
        <Text textStyle="small" color="fg.muted" flex={1} truncate>
          {t(`models.between_${of.between}`, { judge: of.judge ?? "" })} · {measureName(of.coefficient)}
        </Text>
        <Badge variant="subtle" colorPalette="gray">
          {of.value === null ? "–" : measure(Number(of.value.toFixed(2)))}
        </Badge>
      </Flex>
      {of.value !== null && of.low !== null && of.high !== null && (
        <Box mt={1}>
          <IntervalBar
            of={{ value: of.value, low: of.low, high: of.high }}
            scale={FULL}
            label={t("models.scoreInterval", {
              value: measure(of.value),
              low: measure(of.low),
              high: measure(of.high),
            })}
          />
        </Box>
      )}
    </Box>
  );
}

function Costs({ of }: { of: Judging }) {
  const { t } = useTranslation();
  const total = { ...of.total, name: t("models.total"), endpoint: "", missing: of.missing };
  const columns: Column<Judge>[] = [
    {
      key: "name",
      title: t("models.judge"),
      width: "minmax(0, 1.4fr)",
      cell: (row) => (
        <Text fontWeight="500" truncate title={row.endpoint}>
          {row.name}
        </Text>
      ),
    },
    { key: "requests", title: t("models.requests"), width: "76px", align: "end", cell: (row) => count(row.requests) },
    {
      key: "prompt",
      title: t("models.promptTokens"),
      width: "84px",
      align: "end",
      wideOnly: true,
      cell: (row) => count(row.prompt_tokens),
    },
    {
      key: "reply",
      title: t("models.replyTokens"),
      width: "84px",
      align: "end",
      wideOnly: true,
      cell: (row) => count(row.reply_tokens),
    },
    {
      key: "cost",
      title: t("models.price"),
      width: "88px",
      align: "end",
      cell: (row) => (row.cost === null ? "–" : measure(row.cost)),
    },
  ];
  return (
    <Table
      label={t("models.cost")}
      rows={of.judges.length > 1 ? [...of.judges, total] : of.judges}
      columns={columns}
      keyOf={(row) => row.name}
    />
  );
}
