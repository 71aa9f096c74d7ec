// Beside a conversation: how it is asked, the same as code, and how the votes stand.
import { Box, Field, Flex, Grid, Input, Switch, Text, Textarea } from "@chakra-ui/react";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "@/api/client";
import { Code, count, Section, Segments } from "@/ui";
import { type Chat, SAMPLING } from "./chat";
import { formOf, leftOut, WAYS, type Way } from "./forms";

const votesQuery = queryOptions({
  queryKey: ["votes"],
  queryFn: ({ signal }) => answer(api.GET("/api/v1/generate/votes", { signal })),
});

export function HowAsked({ chat, onChange }: { chat: Chat; onChange: (next: Partial<Chat>) => void }) {
  const { t } = useTranslation();
  return (
    <Section title={t("play.settings")}>
      <Flex direction="column" gap={4}>
        <Field.Root>
          <Field.Label textStyle="small">{t("play.system")}</Field.Label>
          <Textarea
            size="sm"
            rows={2}
            autoresize
            value={chat.system}
            placeholder={t("form.none")}
            onChange={(event) => onChange({ system: event.target.value })}
          />
        </Field.Root>
        <Grid templateColumns="1fr 1fr" gap={3}>
          {SAMPLING.map((name) => (
            <Field.Root key={name}>
              <Field.Label textStyle="caption" color="fg.muted">
                {t(`play.${name}`)}
              </Field.Label>
              <Input
                size="sm"
                inputMode="decimal"
                value={chat.sampling[name]}
                placeholder={name === "seed" ? t("play.random") : t("play.auto")}
                title={name === "seed" ? undefined : t("play.ofModel")}
                onChange={(event) => onChange({ sampling: { ...chat.sampling, [name]: event.target.value } })}
              />
            </Field.Root>
          ))}
        </Grid>
        <Switch.Root
          size="sm"
          checked={chat.blind}
          onCheckedChange={(next) => onChange({ blind: next.checked })}
          colorPalette="accent"
        >
          <Switch.HiddenInput />
          <Switch.Control />
          <Switch.Label>{t("play.blind")}</Switch.Label>
        </Switch.Root>
      </Flex>
    </Section>
  );
}

export function AsCode({ chat, prompt, models }: { chat: Chat; prompt: string; models: readonly string[] }) {
  const { t } = useTranslation();
  const [way, setWay] = useState<Way>("cli");
  const asked = prompt.trim() || (chat.turns.at(-1)?.prompt ?? "");
  const before = prompt.trim() ? chat.turns : chat.turns.slice(0, -1);
  const missing = leftOut(way, { ...chat, turns: before });
  return (
    <Section title={t("play.code")}>
      <Flex direction="column" gap={3}>
        <Segments
          label={t("play.code")}
          options={WAYS.map((one) => ({ value: one, label: t(`play.way_${one}`) }))}
          value={way}
          onChange={(next) => setWay(next as Way)}
        />
        <Code label={t(`play.way_${way}`)} maxHeight="220px">
          {formOf(way, { ...chat, turns: before }, asked || "…", models)}
        </Code>
        {missing.length > 0 && (
          <Text textStyle="small" color="fg.warning">
            {t("play.leftOut", { what: missing.map((one) => t(`play.${one}`)).join(", ") })}
          </Text>
        )}
      </Flex>
    </Section>
  );
}

export function Votes() {
  const { t } = useTranslation();
  const { data } = useQuery(votesQuery);
  if (!data?.rows) return null;
  return (
    <Section title={t("play.votes")} description={t("play.votesHint", { count: data.rows, rows: count(data.rows) })}>
      <Flex as="ul" direction="column" gap={3} m={0} p={0} listStyleType="none">
        {data.models.slice(0, 6).map((one) => (
          <Box as="li" key={one.model}>
            <Flex justify="space-between" gap={3}>
              <Text textStyle="code" truncate title={one.model}>
                {one.model}
              </Text>
              <Text textStyle="small" color="fg.muted" whiteSpace="nowrap" fontVariantNumeric="tabular-nums">
                {t("play.standing", { won: count(one.won), lost: count(one.lost) })}
              </Text>
            </Flex>
            <Box h="4px" mt={1} borderRadius="full" bg="bg.muted" overflow="hidden" aria-hidden>
              <Box h="full" bg="series.1" style={{ width: `${(100 * one.won) / Math.max(1, one.won + one.lost)}%` }} />
            </Box>
          </Box>
        ))}
      </Flex>
    </Section>
  );
}
