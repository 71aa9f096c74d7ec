// What a step read and did not keep: every row with its file, line and reason.
import { Box, Flex, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { ShieldCheck } from "lucide-react";
import { useTranslation } from "react-i18next";
import { bytes, count, EmptyState, ErrorCard, Rows, Section } from "@/ui";
import { Shares } from "@/ui/bars";
import { quarantineQuery } from "./queries";

export function QuarantineView({ name }: { name: string }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(quarantineQuery(name));
  if (error && !data) return <ErrorCard error={error} onRetry={() => void refetch()} />;
  if (!data) return <Rows />;
  const known = (value: number | null | undefined) => (typeof value === "number" ? count(value) : "?");
  const dropped = Object.entries(data.dropped ?? {});
  return (
    <Flex direction="column" gap={5}>
      <Text color="fg.muted">
        {t("data.kept", {
          read: known(data.read),
          kept: known(data.kept),
          quarantined: count(data.quarantined ?? data.total),
        })}
        {dropped.map(([reason, rows]) => ` · ${reason}: ${count(rows)}`)}
      </Text>
      {data.unread_bytes > 0 && <Text color="fg.warning">{t("data.unread", { size: bytes(data.unread_bytes) })}</Text>}
      {data.total === 0 && data.unread_bytes === 0 ? (
        <Section>
          <EmptyState icon={ShieldCheck} title={t("data.noQuarantine")} compact>
            {t("data.noQuarantineHint")}
          </EmptyState>
        </Section>
      ) : (
        <>
          <Section title={t("data.reasons")}>
            <Shares counts={data.reasons} />
          </Section>
          <Section title={t("data.quarantined")} flush>
            {data.rows.map((row) => (
              <Box
                key={row.row}
                px={5}
                py={3}
                borderTopWidth="1px"
                borderColor="border.muted"
                _first={{ borderTopWidth: 0 }}
              >
                <Flex gap={3} wrap="wrap" align="baseline">
                  <Text fontFamily="mono" fontSize="12.5px">
                    {row.source}
                  </Text>
                  <Text textStyle="small" color="fg.error" overflowWrap="anywhere">
                    {[row.field, row.reason].filter(Boolean).join(": ")}
                  </Text>
                </Flex>
                <Text textStyle="code" color="fg.muted" truncate title={row.text}>
                  {row.text}
                </Text>
              </Box>
            ))}
          </Section>
          {data.total > data.rows.length && (
            <Text color="fg.muted">
              {t("data.firstOf", { shown: count(data.rows.length), all: count(data.total) })}
            </Text>
          )}
        </>
      )}
    </Flex>
  );
}
