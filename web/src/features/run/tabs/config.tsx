// The settings of a step, those that were chosen for the reader marked; and the run as YAML, command and Python.
import { Box, Flex, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "@/api/client";
import { Code, ErrorCard, Lines, Section } from "@/ui";
import { Segments } from "@/ui/segments";
import type { Choice } from "../api";
import { settingsOf } from "../settings";
import type { TabProps } from ".";

type Form = "yaml" | "command" | "python";

export default function Config({ detail, step, live }: TabProps) {
  const { t } = useTranslation();
  const chosen: Choice[] = live?.chosen.length ? live.chosen : (step.shown?.chosen ?? []);
  const values = (detail.values.steps as Record<string, Record<string, unknown>> | undefined)?.[step.step];
  const settings = settingsOf(step.shown?.settings ?? values ?? {}, chosen);
  const inputs = Object.entries(step.shown?.inputs ?? {});
  return (
    <Flex direction="column" gap={{ base: 5, md: 6 }}>
      <Section title={t("run.settings")} flush>
        <Box as="dl" m={0}>
          {[
            ...inputs.map(([field, value]) => ({ field, value, reason: "" })),
            ...settings.filter((one) => !inputs.some(([field]) => field === one.field)),
          ].map((one, at) => (
            <Box
              key={one.field}
              display="grid"
              gridTemplateColumns={{ base: "1fr", sm: "minmax(0, 4fr) minmax(0, 8fr)" }}
              columnGap={5}
              px={{ base: 4, md: 5 }}
              py={2}
              borderTopWidth={at ? "1px" : 0}
              borderColor="border.muted"
            >
              <Text as="dt" textStyle="code" color="fg.muted" overflowWrap="anywhere">
                {one.field}
              </Text>
              <Box as="dd" m={0} minW={0}>
                <Text textStyle="code" overflowWrap="anywhere" whiteSpace="pre-wrap">
                  {one.value}
                </Text>
                {one.reason && (
                  <Text textStyle="caption" color="fg.muted">
                    {t("run.chosenBecause", { reason: one.reason })}
                  </Text>
                )}
              </Box>
            </Box>
          ))}
        </Box>
      </Section>
      <Copies {...{ values: detail.values, recipe: detail.run }} />
    </Flex>
  );
}

function Copies({ values, recipe }: { values: Record<string, unknown>; recipe: string }) {
  const { t } = useTranslation();
  const [form, setForm] = useState<Form>("yaml");
  const found = useQuery({
    queryKey: ["plan", recipe],
    queryFn: ({ signal }) =>
      answer(api.POST("/api/v1/plans", { body: { values, settings: [], only: [], force: [] }, signal })),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  return (
    <Section
      title={t("run.copyAs")}
      actions={
        <Segments
          label={t("run.copyAs")}
          value={form}
          onChange={(value) => setForm(value as Form)}
          options={[
            { value: "yaml", label: "YAML" },
            { value: "command", label: t("run.command") },
            { value: "python", label: "Python" },
          ]}
        />
      }
    >
      {found.error ? (
        <ErrorCard error={found.error} onRetry={() => void found.refetch()} />
      ) : found.data ? (
        <Code label={recipe} maxHeight="420px">
          {found.data[form]}
        </Code>
      ) : (
        <Box minH="240px">
          <Lines count={8} />
        </Box>
      )}
    </Section>
  );
}
