// The screen *Evaluate*: scores with their intervals, and each item behind them.

import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Target } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Items } from "@/features/evaluations/items";
import { JudgingPart } from "@/features/evaluations/judging";
import { Gate, Tags } from "@/features/evaluations/parts";
import { evaluationQuery, type ItemsLook, itemsQuery } from "@/features/evaluations/queries";
import { DifferenceLine, ScoreTable } from "@/features/evaluations/scores";
import { type Artifact, artifactsQuery, chosen } from "@/features/models/queries";
import { scoresOf } from "@/features/models/scores";
import { measureName } from "@/i18n/names";
import { Ago, type Column, count, EmptyState, ErrorCard, measure, Page, percent, Rows, Section, Table } from "@/ui";

const LIST_HEIGHT = "336px";

export default function Evaluate() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const search = useSearch({ from: "/shell/evaluate" });
  const { ref } = search;
  const { data, error, refetch } = useQuery(artifactsQuery("evaluation", "comparison"));
  const shown = chosen(data?.artifacts, ref);
  const columns: Column<Artifact>[] = [
    {
      key: "ref",
      title: t("data.name"),
      width: "minmax(0, 1fr)",
      cell: (row) => (
        <Box minW={0}>
          <Text fontWeight="500" truncate>
            {row.ref}
          </Text>
          <Text hideFrom="md" textStyle="caption" color="fg.muted" truncate>
            {headline(row.measures)
              .slice(0, 2)
              .map((one) => `${measureName(one.name)} ${measure(one.value)}`)
              .join(" · ")}
          </Text>
        </Box>
      ),
    },
    {
      key: "scores",
      title: t("models.scores"),
      width: "minmax(0, 2fr)",
      wideOnly: true,
      cell: (row) => (
        <Flex gap={3} minW={0} overflow="hidden">
          {headline(row.measures)
            .slice(0, 3)
            .map((one) => (
              <Text key={one.name} textStyle="small" color="fg.muted" whiteSpace="nowrap">
                {measureName(one.name)}{" "}
                <Text as="span" color="fg" fontWeight="500">
                  {measure(one.value)}
                </Text>
              </Text>
            ))}
        </Flex>
      ),
    },
    {
      key: "created",
      title: t("data.created"),
      width: "96px",
      align: "end",
      wideOnly: true,
      cell: (row) => (
        <Box textStyle="small" color="fg.muted">
          <Ago at={row.created} />
        </Box>
      ),
    },
  ];
  return (
    <Page
      title={t("nav.evaluate")}
      description={t("models.evaluateHint")}
      actions={
        <>
          <Button asChild size="sm" variant="outline">
            <Link to="/new" search={{ stage: "judge" }}>
              {t("models.make_judge")}
            </Link>
          </Button>
          <Button asChild size="sm" variant="outline">
            <Link to="/new" search={{ stage: "compare" }}>
              {t("models.make_compare")}
            </Link>
          </Button>
          <Button asChild size="sm" colorPalette="accent">
            <Link to="/new" search={{ stage: "evaluate" }}>
              {t("models.make_evaluate")}
            </Link>
          </Button>
        </>
      }
    >
      {error && !data && <ErrorCard error={error} onRetry={() => void refetch()} />}
      {!error && (
        <Section title={t("models.evaluations")} flush>
          {data ? (
            <Table
              label={t("models.evaluations")}
              rows={data.artifacts}
              columns={columns}
              height={LIST_HEIGHT}
              rowHeight={48}
              keyOf={(row) => row.run}
              isCurrent={(row) => row === shown}
              onOpen={(row) => void navigate({ to: "/evaluate", search: { ref: row.ref }, resetScroll: false })}
              empty={
                <EmptyState
                  icon={Target}
                  title={t("models.noEvaluations")}
                  compact
                  action={
                    <Button asChild size="sm" variant="outline">
                      <Link to="/new" search={{ stage: "evaluate" }}>
                        {t("models.make_evaluate")}
                      </Link>
                    </Button>
                  }
                >
                  {t("models.noEvaluationsHint")}
                </EmptyState>
              }
            />
          ) : (
            <Rows count={3} />
          )}
        </Section>
      )}
      {data && ref && !shown && (
        <Section flush>
          <EmptyState compact icon={Target} title={t("models.noSuchEvaluation", { ref })}>
            {t("models.noSuchHint")}
          </EmptyState>
        </Section>
      )}
      {shown && <Shown key={shown.run} artifact={shown} look={search} />}
    </Page>
  );
}

/** The first scores of an evaluation; of a judgement, which is compared with nothing, its first measures. */
function headline(measures: Record<string, unknown>): { name: string; value: number }[] {
  const scores = scoresOf(measures);
  if (scores.length) return scores;
  return Object.entries(measures).flatMap(([name, value]) =>
    typeof value === "number" && name !== "rows" ? [{ name, value }] : [],
  );
}

function Shown({ artifact, look }: { artifact: Artifact; look: ItemsLook }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(evaluationQuery(artifact.run));
  const navigate = useNavigate();
  const [recipe = "", number = "", step] = artifact.run.split("/");
  if (error && !data) return <ErrorCard error={error} onRetry={() => void refetch()} />;
  const margins = data?.differences.filter((one) => one.margin !== null) ?? [];
  return (
    <>
      <Section
        flush
        title={artifact.ref}
        description={
          data
            ? t("models.onRows", {
                count: data.rows,
                rows: count(data.rows),
                confidence: percent(data.confidence),
              })
            : t("ui.loading")
        }
        actions={
          <Button asChild size="xs" variant="outline">
            <Link to="/runs/$recipe/$number" params={{ recipe, number }} search={{ step, tab: undefined }}>
              {t("models.openRun")}
            </Link>
          </Button>
        }
      >
        {data ? (
          <>
            <ScoreTable scores={data} />
            {margins.length > 0 && (
              <Box px={{ base: 4, md: 5 }} py={3} borderTopWidth="1px" borderColor="border.muted">
                {margins.map((one) => (
                  <DifferenceLine
                    key={`${one.score}-${one.candidate}-${String(one.margin)}`}
                    difference={one}
                    of={data}
                  />
                ))}
              </Box>
            )}
          </>
        ) : (
          <Rows count={3} height={96} />
        )}
      </Section>
      {data?.gate && <Gate of={data} />}
      {data?.judging && <JudgingPart of={data.judging} />}
      {data && <Tags of={data} />}
      {data && (
        <Items
          title={t("models.items")}
          of={data}
          first={Object.keys(data.sides).length > 1 ? "changed" : "file"}
          look={look}
          onLook={(next) =>
            void navigate({
              to: "/evaluate",
              search: { ref: artifact.ref, ...next },
              replace: true,
              resetScroll: false,
            })
          }
          query={(asked) => itemsQuery(artifact.run, asked)}
        />
      )}
    </>
  );
}
