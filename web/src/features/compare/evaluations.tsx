// The evaluations of two runs: scores and their difference on the same rows, and the answers side by side.
import { Box, Button, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Items } from "@/features/evaluations/items";
import { answersQuery, differenceQuery, type Pair } from "@/features/evaluations/queries";
import { ScoreTable } from "@/features/evaluations/scores";
import { count, ErrorCard, percent, Rows, Section, Segments } from "@/ui";
import { runName } from "./queries";
import type { CompareSearch } from "./search";

const runOf = (name: string) => name.split("/").slice(0, 2).join("/");
const sidesOf = (pair: Pair) => ({ one: runName(runOf(pair.one)), other: runName(runOf(pair.other)) });

/** The scores of each evaluation that both runs have. */
export function CompareScores({ pairs }: { pairs: readonly Pair[] }) {
  return pairs.map((pair) => <PairScores key={pair.step} pair={pair} />);
}

function PairScores({ pair }: { pair: Pair }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(differenceQuery(pair.one, pair.other));
  return (
    <Section
      flush
      title={t("compare.scores", { step: pair.step })}
      description={
        data
          ? t("models.onRows", { count: data.rows, rows: count(data.rows), confidence: percent(data.confidence) })
          : error
            ? undefined
            : t("compare.computing")
      }
    >
      {data && <ScoreTable scores={{ ...data, sides: sidesOf(pair) }} />}
      {!data && !error && <Rows count={2} height={136} />}
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
  );
}

interface AnswersProps {
  pairs: readonly Pair[];
  look: CompareSearch;
  onLook: (look: CompareSearch) => void;
}

/** What both answered to the same prompts, by evaluation. */
export function CompareAnswers({ pairs, look, onLook }: AnswersProps) {
  const { t } = useTranslation();
  const pair = pairs.find((one) => one.step === look.answers) ?? pairs[0];
  if (!pair) return null;
  return (
    <>
      {pairs.length > 1 && (
        <Segments
          label={t("compare.step")}
          options={pairs.map((one) => ({ value: one.step, label: one.step }))}
          value={pair.step}
          onChange={(step) => onLook({ answers: step })}
        />
      )}
      <Items
        key={pair.step}
        title={t("compare.answers", { step: pair.step })}
        of={{ sides: sidesOf(pair), baseline: "one" }}
        first="changed"
        look={look}
        onLook={({ order, q }) => onLook({ order, q })}
        query={(asked) => answersQuery(pair.one, pair.other, asked)}
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
