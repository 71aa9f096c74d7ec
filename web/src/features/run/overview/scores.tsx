// What an evaluation scored, as the screen of evaluations shows it.
import { Button } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Scale } from "lucide-react";
import { useTranslation } from "react-i18next";
import { evaluationQuery } from "@/features/evaluations/queries";
import { ScoreTable } from "@/features/evaluations/scores";
import { count, ErrorCard, percent, Rows, Section } from "@/ui";

export default function Scored({ run }: { run: string }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(evaluationQuery(run));
  const [recipe, number, step] = run.split("/");
  if (error && !data) return <ErrorCard error={error} onRetry={() => void refetch()} />;
  return (
    <Section
      flush
      title={t("run.scores")}
      description={
        data
          ? t("models.onRows", { count: data.rows, rows: count(data.rows), confidence: percent(data.confidence) })
          : t("ui.loading")
      }
      actions={
        <Button asChild size="xs" variant="outline">
          <Link to="/evaluate" search={{ ref: `${recipe}.${step}@${number}` }}>
            <Scale aria-hidden />
            {t("nav.evaluate")}
          </Link>
        </Button>
      }
    >
      {data ? <ScoreTable scores={data} /> : <Rows count={3} height={96} />}
    </Section>
  );
}
