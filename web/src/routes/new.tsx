// The screen *New run*: choose where to begin, then the draft. Its address says where it began.
import { Box } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Navigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { answer, api } from "@/api/client";
import { type Draft, draftOf, draftOfStage, filled } from "@/features/compose/draft";
import { Editor } from "@/features/compose/editor";
import { recipeQuery } from "@/features/compose/queries";
import { Start } from "@/features/compose/start";
import { datasetQuery } from "@/features/data/queries";
import type { Values } from "@/features/form";
import { Block, ErrorCard, Page, ToList } from "@/ui";
import type { NewSearch } from "./tree";

export default function NewRun() {
  const search: NewSearch = useSearch({ from: "/shell/new" });
  const key = JSON.stringify([search.recipe, search.stage, search.from, search.source, search.base, search.model]);
  if (search.data) return <FromData name={search.data} />;
  if (search.from) return <FromRun key={key} name={search.from} storeKey={key} />;
  if (search.recipe) return <FromRecipe key={key} search={search} storeKey={key} />;
  if (search.stage) return <Editor key={key} start={draftOfStage(search.stage, fillOf(search))} storeKey={key} />;
  return <Start />;
}

const fillOf = ({ source, base, model }: NewSearch): Values => ({
  ...(source && { data: source }),
  ...(base && { base }),
  ...(model && { model }),
});

/** The recipe that learns from the rows of a dataset, with the dataset in it. */
function FromData({ name }: { name: string }) {
  const { data, error, refetch } = useQuery(datasetQuery(name));
  if (error && !data) return <Failed title={name} error={error} onRetry={() => void refetch()} />;
  if (!data) return <Waiting title={name} />;
  return <Navigate to="/new" search={{ recipe: data.layout.recipe, source: data.ref }} replace />;
}

function FromRecipe({ search, storeKey }: { search: NewSearch; storeKey: string }) {
  const { recipe = "" } = search;
  const { data, error, refetch } = useQuery(recipeQuery(recipe));
  if (error && !data) return <Failed title={recipe} error={error} onRetry={() => void refetch()} />;
  if (!data) return <Waiting title={recipe} />;
  const values = data.values as Values | null;
  if (!values) return <Failed title={recipe} error={new Error(data.error ?? "")} onRetry={() => void refetch()} />;
  const opened: Draft = draftOf(filled(values, search), { type: "recipe", name: recipe, values });
  return <Editor start={opened} storeKey={storeKey} />;
}

function FromRun({ name, storeKey }: { name: string; storeKey: string }) {
  const { t } = useTranslation();
  const [recipe = "", number = ""] = name.split("/");
  const { data, error, refetch } = useQuery({
    queryKey: ["run", name, "values"],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/api/v1/runs/{recipe}/{number}", { params: { path: { recipe, number: Number(number) } }, signal }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const title = t("compose.forkOf", { run: name });
  if (error && !data) return <Failed title={title} error={error} onRetry={() => void refetch()} />;
  if (!data) return <Waiting title={title} />;
  const values = data.values as Values;
  const start = draftOf(values, { type: "run", name, values });
  return <Editor start={start} storeKey={storeKey} />;
}

function Waiting({ title }: { title: string }) {
  const { t } = useTranslation();
  return (
    <Page title={title} crumbs={[{ label: t("nav.new"), to: "/new" }]}>
      <Block height={480} />
    </Page>
  );
}

function Failed({ title, error, onRetry }: { title: string; error: unknown; onRetry: () => void }) {
  const { t } = useTranslation();
  return (
    <Page title={title} crumbs={[{ label: t("nav.new"), to: "/new" }]}>
      <Box maxW="640px">
        <ErrorCard error={error} onRetry={onRetry} action={<ToList to="/new">{t("nav.new")}</ToList>} />
      </Box>
    </Page>
  );
}
