// The screen *Evaluate*: scores with their intervals, and each item behind them.
import { Badge, Box, Button, Flex, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Target } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { address, guarded } from "@/api/transport";
import { type Artifact, artifactsQuery } from "@/features/models/queries";
import { type Score, scoresOf } from "@/features/models/scores";
import {
  Ago,
  type Column,
  count,
  EmptyState,
  ErrorCard,
  KeyValue,
  Lines,
  measure,
  Page,
  Rows,
  Section,
  Table,
} from "@/ui";

const MOST = 2_000_000;
const STEP = 20;
const TONES: Record<string, string> = { better: "success", worse: "danger", equivalent: "accent" };

interface Item {
  source?: string;
  prompt?: string;
  reference?: string;
  answer?: string;
  scores?: Record<string, { value: number | null; why?: string }>;
  base?: { answer?: string };
}

/** The first items; the last line of a part may be half. */
const itemsQuery = (run: string) => ({
  queryKey: ["items", run],
  queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Item[]> => {
    const reply = await guarded(address(`/api/v1/runs/${run}/files/out/items.jsonl`), {
      headers: { range: `bytes=0-${MOST}` },
      signal,
    });
    return (await reply.text()).split("\n").flatMap((line) => {
      try {
        return line ? [JSON.parse(line) as Item] : [];
      } catch {
        return [];
      }
    });
  },
  retry: false,
});

export default function Evaluate() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { ref } = useSearch({ from: "/shell/evaluate" });
  const { data, error, refetch } = useQuery(artifactsQuery("evaluation", "comparison", "verdicts", "judgements"));
  const shown = data?.artifacts.find((one) => one.ref === ref) ?? data?.artifacts[0];
  const columns: Column<Artifact>[] = [
    {
      key: "ref",
      title: t("data.name"),
      width: "minmax(0, 1fr)",
      cell: (row) => (
        <Text fontWeight="500" truncate>
          {row.ref}
        </Text>
      ),
    },
    {
      key: "scores",
      title: t("models.scores"),
      width: "minmax(0, 2fr)",
      cell: (row) => (
        <Flex gap={3} minW={0} overflow="hidden">
          {scoresOf(row.measures)
            .slice(0, 3)
            .map((one) => (
              <Text key={one.name} textStyle="small" color="fg.muted" whiteSpace="nowrap">
                {one.name.replaceAll("_", " ")}{" "}
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
              keyOf={(row) => row.run}
              onOpen={(row) => void navigate({ to: "/evaluate", search: { ref: row.ref }, resetScroll: false })}
              empty={
                <EmptyState icon={Target} title={t("models.noEvaluations")} compact>
                  {t("models.noEvaluationsHint")}
                </EmptyState>
              }
            />
          ) : (
            <Rows count={3} />
          )}
        </Section>
      )}
      {shown && <Shown key={shown.run} artifact={shown} />}
    </Page>
  );
}

function Shown({ artifact }: { artifact: Artifact }) {
  const { t } = useTranslation();
  const [recipe = "", number = "", step] = artifact.run.split("/");
  const scores = scoresOf(artifact.measures);
  const others = Object.entries(artifact.measures).filter(
    ([key]) => !scores.some((one) => key === one.name || key.startsWith(`${one.name}_`)),
  );
  return (
    <>
      <Section
        title={artifact.ref}
        description={t("models.intervalHint")}
        actions={
          <Button asChild size="xs" variant="outline">
            <Link to="/runs/$recipe/$number" params={{ recipe, number }} search={{ step, tab: undefined }}>
              {t("models.openRun")}
            </Link>
          </Button>
        }
      >
        <Flex direction="column">
          {scores.map((one) => (
            <ScoreRow key={one.name} score={one} />
          ))}
        </Flex>
        {others.length > 0 && (
          <Box mt={scores.length ? 4 : 0}>
            <KeyValue
              nameWidth="200px"
              pairs={others.map(([key, value]) => ({
                name: key.replaceAll("_", " "),
                value: typeof value === "object" ? JSON.stringify(value) : measure(value),
              }))}
            />
          </Box>
        )}
      </Section>
      <Items run={artifact.run} />
    </>
  );
}

function ScoreRow({ score }: { score: Score }) {
  const { t } = useTranslation();
  const { low, high, delta } = score;
  const reach = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0), 1e-12) * 1.15;
  const at = (value: number) => `${50 + (value / reach) * 50}%`;
  return (
    <Flex
      gap={4}
      py={3}
      align="center"
      wrap="wrap"
      borderTopWidth="1px"
      borderColor="border.muted"
      _first={{ borderTopWidth: 0 }}
    >
      <Box w="140px" minW={0}>
        <Text fontWeight="500" truncate>
          {score.name.replaceAll("_", " ")}
        </Text>
        <Text textStyle="caption" color="fg.muted">
          {score.rows === null ? "" : t("data.rowCount", { count: score.rows, rows: count(score.rows) })}
        </Text>
      </Box>
      <Box w="150px" fontVariantNumeric="tabular-nums">
        <Text textStyle="lead" fontWeight="600">
          {measure(score.value)}
        </Text>
        {score.base !== null && (
          <Text textStyle="caption" color="fg.muted">
            {t("models.against", { value: measure(score.base) })}
          </Text>
        )}
      </Box>
      {delta !== null && low !== null && high !== null && (
        <Box flex="1 1 180px" minW="140px">
          <Box
            position="relative"
            h="20px"
            role="img"
            aria-label={t("models.interval", { delta: measure(delta), low: measure(low), high: measure(high) })}
          >
            <Box position="absolute" left="50%" top={0} bottom={0} w="1px" bg="border.emphasized" />
            <Box
              position="absolute"
              top="8px"
              h="4px"
              borderRadius="full"
              bg="series.1"
              opacity={0.35}
              style={{ left: at(low), right: `calc(100% - ${at(high)})` }}
            />
            <Box
              position="absolute"
              top="5px"
              boxSize="10px"
              ms="-5px"
              borderRadius="full"
              bg="series.1"
              style={{ left: at(delta) }}
            />
          </Box>
          <Text textStyle="caption" color="fg.muted" textAlign="center" fontVariantNumeric="tabular-nums">
            Δ {measure(delta)} [{measure(low)}, {measure(high)}]
          </Text>
        </Box>
      )}
      <Flex w={{ md: "148px" }} justify={{ md: "flex-end" }}>
        {score.verdict && (
          <Badge variant="subtle" colorPalette={TONES[score.verdict] ?? "gray"}>
            {score.verdict}
          </Badge>
        )}
      </Flex>
    </Flex>
  );
}

function Items({ run }: { run: string }) {
  const { t } = useTranslation();
  const { data, error } = useQuery(itemsQuery(run));
  const [shown, setShown] = useState(STEP);
  if (error) return null;
  return (
    <Section
      title={t("models.items")}
      description={data ? t("models.itemsHint", { count: data.length }) : undefined}
      flush
    >
      {!data && (
        <Box p={5}>
          <Lines />
        </Box>
      )}
      {data?.slice(0, shown).map((item, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the items of one file, in its order
        <Box key={at} px={5} py={4} borderTopWidth="1px" borderColor="border.muted">
          <Flex gap={3} wrap="wrap" mb={2} align="center">
            <Text textStyle="caption" color="fg.muted" flex="1 1 120px">
              {item.source}
            </Text>
            {Object.entries(item.scores ?? {}).map(([name, score]) => (
              <Badge key={name} variant="subtle" colorPalette="gray" title={score.why}>
                {name.replaceAll("_", " ")} {score.value === null ? "–" : measure(score.value)}
              </Badge>
            ))}
          </Flex>
          <Told name={t("models.reference")} text={item.reference} />
          <Told name={t("models.answer")} text={item.answer} strong />
          <Told name={t("models.baseAnswer")} text={item.base?.answer} />
        </Box>
      ))}
      {data && shown < data.length && (
        <Flex justify="center" p={3} borderTopWidth="1px" borderColor="border.muted">
          <Button size="xs" variant="ghost" onClick={() => setShown(shown + STEP)}>
            {t("models.more")}
          </Button>
        </Flex>
      )}
    </Section>
  );
}

function Told({ name, text, strong = false }: { name: string; text?: string; strong?: boolean }) {
  if (text === undefined) return null;
  return (
    <Flex gap={3} direction={{ base: "column", sm: "row" }} rowGap={0} mb={1}>
      <Text textStyle="caption" color="fg.muted" w={{ sm: "88px" }} flexShrink={0} pt="3px">
        {name}
      </Text>
      <Text
        textStyle="small"
        color={strong ? "fg" : "fg.muted"}
        overflowWrap="anywhere"
        lineClamp={4}
        whiteSpace="pre-wrap"
      >
        {text || "–"}
      </Text>
    </Flex>
  );
}
