// What a merge would give: the adapters as they are, and rank, type and size of the result. Nothing is written.
import { Box, Flex, Text } from "@chakra-ui/react";
import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { send } from "@/api/call";
import type { Shape } from "@/api/client";
import type { Values } from "@/features/form";
import { bytes, count, ErrorCard, KeyValue, Lines, measure, Section } from "@/ui";

const previewQuery = (values: Values) =>
  queryOptions({
    queryKey: ["merges", "preview", values],
    queryFn: () => send<Shape<"MergePreview">>("POST", "/api/v1/merges/preview", { stage: "combine", values }),
    placeholderData: keepPreviousData,
    retry: false,
  });

export function MergePreview({ values }: { values: Values }) {
  const { t } = useTranslation();
  const { data, error, isPlaceholderData } = useQuery(previewQuery(values));
  if (error) return <ErrorCard error={error} />;
  const result = data?.result;
  return (
    <Section title={t("models.preview")} description={t("models.previewHint")} aria-busy={!data}>
      {!data && <Lines count={5} />}
      {data && result && (
        <Box opacity={isPlaceholderData ? 0.6 : 1} transition="opacity 120ms">
          <Flex as="ul" direction="column" gap={3} m={0} p={0} listStyleType="none">
            {data.adapters.map((one) => (
              <Box as="li" key={one.name}>
                <Flex justify="space-between" gap={3}>
                  <Text textStyle="code" truncate title={one.ref}>
                    {one.ref}
                  </Text>
                  <Text fontWeight="600" fontVariantNumeric="tabular-nums">
                    × {measure(one.weight)}
                  </Text>
                </Flex>
                <Text textStyle="caption" color="fg.muted">
                  {t("models.adapterShape", {
                    rank: count(one.rank),
                    parameters: count(one.parameters),
                    bytes: bytes(one.bytes),
                  })}
                </Text>
              </Box>
            ))}
          </Flex>
          <Box borderTopWidth="1px" borderColor="border.muted" mt={4} pt={4}>
            <KeyValue
              nameWidth="120px"
              pairs={[
                {
                  name: t("models.into"),
                  value: t(result.kind === "adapter" ? "models.resultAdapter" : "models.resultModel"),
                },
                { name: t("models.base"), value: data.base.ref },
                ...(result.rank === null
                  ? []
                  : [
                      {
                        name: t("models.rank"),
                        value:
                          result.rank_is === "at most"
                            ? t("models.atMost", { rank: count(result.rank) })
                            : count(result.rank),
                      },
                    ]),
                { name: t("models.dtype"), value: result.dtype },
                {
                  name: t("data.size"),
                  value:
                    result.most_bytes > result.bytes
                      ? `${bytes(result.bytes)} – ${bytes(result.most_bytes)}`
                      : bytes(result.bytes),
                },
                {
                  name: t("models.weightSum"),
                  value: measure(Number(data.adapters.reduce((sum, one) => sum + one.weight, 0).toFixed(6))),
                },
              ]}
            />
          </Box>
          {data.warnings.map((warning) => (
            <Text key={warning} textStyle="small" color="fg.warning" mt={3}>
              {warning}
            </Text>
          ))}
        </Box>
      )}
    </Section>
  );
}
