// The evaluations of two runs: scores and their difference on the same rows, and the answers side by side.
import { Box, Button, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Items } from "@/features/evaluations/items";
import { answersQuery, differenceQuery, pairsQuery } from "@/features/evaluations/queries";
import { ScoreTable } from "@/features/evaluations/scores";
import { count, ErrorCard, percent, Rows, Section } from "@/ui";

export function CompareEvaluations({ one, other }: { one: string; other: string }) {
  const { data } = useQuery(pairsQuery(one, other));
  return data?.map((pair) => <Pair key={pair.step} step={pair.step} one={pair.one} other={pair.other} />) ?? null;
}

function Pair({ step, one, other }: { step: string; one: string; other: string }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(differenceQuery(one, other));
  const runOf = (name: string) => name.split("/").slice(0, 2).join(" #");
  const sides = { one: runOf(one), other: runOf(other) };
  return (
    <>
      <Section
        flush
        title={t("compare.scores", { step })}
        description={
          data
            ? t("models.onRows", { count: data.rows, rows: count(data.rows), confidence: percent(data.confidence) })
            : error
              ? undefined
              : t("compare.computing")
        }
      >
        {data && <ScoreTable scores={{ ...data, sides }} />}
        {!data && !error && <Rows count={2} height={112} />}
        {error && !data && (
          <Box p={5}>
            <ErrorCard error={error} onRetry={() => void refetch()} />
          </Box>
        )}
        {data?.warnings.map((warning) => (
          <Text key={warning} px={5} py={2} textStyle="small" color="fg.warning">
            {warning}
          </Text>
        ))}
      </Section>
      <Items
        title={t("compare.answers", { step })}
        of={{ sides, baseline: "one" }}
        first="changed"
        query={(asked) => answersQuery(one, other, asked)}
      />
    </>
  );
}

/** The models that both runs have made, asked the same thing in the playground. */
export function AskBoth({ models }: { models: readonly string[] }) {
  const { t } = useTranslation();
  if (models.length < 2) return null;
  return (
    <Button asChild size="sm" variant="outline">
      <Link to="/playground" search={{ models: models.join(","), chat: undefined }}>
        {t("compare.askBoth")}
      </Link>
    </Button>
  );
}
