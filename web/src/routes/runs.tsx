// All runs: filters in the address, a table that stays smooth, and two of them to compare.
import { Button, Checkbox, Flex, Text } from "@chakra-ui/react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ArrowLeftRight, Plus, Rows3, Search } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Filters } from "@/features/runs/filters";
import { type RunFilters, type RunSummary, runPages } from "@/features/runs/queries";
import { RunTable } from "@/features/runs/table";
import { count, EmptyState, ErrorCard, Page, Rich, Rows, Section } from "@/ui";

const HEIGHT = "max(320px, calc(100dvh - 250px))";

export default function Runs() {
  const { t } = useTranslation();
  const filters = useSearch({ from: "/shell/runs" });
  const navigate = useNavigate();
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(runPages(filters));
  const [chosen, setChosen] = useState<string[]>([]);
  const runs = useMemo(() => data?.pages.flatMap((page) => page.runs), [data]);
  const total = data?.pages[0]?.total ?? 0;
  const isFiltered = Boolean(filters.q || filters.state || filters.recipe || filters.stage);
  const change = useMemo(
    () => (next: RunFilters) => void navigate({ to: "/runs", search: next, replace: true }),
    [navigate],
  );
  const choose = (run: RunSummary) =>
    setChosen((known) =>
      known.includes(run.run) ? known.filter((one) => one !== run.run) : [...known, run.run].slice(-2),
    );
  const [one, other] = chosen;
  return (
    <Page
      title={t("nav.runs")}
      actions={
        <>
          <Button asChild={one !== undefined && other !== undefined} size="sm" variant="outline" disabled={!other}>
            {one !== undefined && other !== undefined ? (
              <Link to="/compare" search={{ one, other }}>
                <ArrowLeftRight aria-hidden />
                {t("runs.compare")}
              </Link>
            ) : (
              <>
                <ArrowLeftRight aria-hidden />
                {t("runs.compare")}
              </>
            )}
          </Button>
          <Button asChild size="sm" colorPalette="accent">
            <Link to="/new">
              <Plus aria-hidden />
              {t("nav.new")}
            </Link>
          </Button>
        </>
      }
    >
      <Flex direction="column" gap={4}>
        <Filters filters={filters} onChange={change} />
        {error && !runs ? (
          <ErrorCard error={error} onRetry={() => void refetch()} />
        ) : (
          <Section flush>
            {runs ? (
              <RunTable
                runs={runs}
                height={HEIGHT}
                onOpen={(run) =>
                  void navigate({
                    to: "/runs/$recipe/$number",
                    params: { recipe: run.recipe, number: String(run.number) },
                    search: { step: undefined, tab: undefined },
                  })
                }
                onEnd={() => hasNextPage && !isFetchingNextPage && void fetchNextPage()}
                first={{
                  key: "choose",
                  title: "",
                  width: "20px",
                  cell: (run) => (
                    <Checkbox.Root size="sm" checked={chosen.includes(run.run)} onCheckedChange={() => choose(run)}>
                      <Checkbox.HiddenInput aria-label={t("runs.choose", { run: run.run })} />
                      <Checkbox.Control />
                    </Checkbox.Root>
                  ),
                }}
                empty={
                  isFiltered ? (
                    <EmptyState
                      compact
                      icon={Search}
                      title={t("runs.none")}
                      action={
                        <Button size="sm" variant="outline" onClick={() => change({})}>
                          {t("runs.clear")}
                        </Button>
                      }
                    />
                  ) : (
                    <EmptyState
                      icon={Rows3}
                      title={t("runs.empty")}
                      action={
                        <Button asChild size="sm" colorPalette="accent">
                          <Link to="/new">{t("nav.new")}</Link>
                        </Button>
                      }
                    >
                      <Rich>{t("runs.emptyHint")}</Rich>
                    </EmptyState>
                  )
                }
              />
            ) : (
              <Rows count={12} />
            )}
          </Section>
        )}
        <Text textStyle="small" color="fg.muted" minH="20px" aria-live="polite">
          {runs && runs.length > 0 && t("runs.total", { count: total, number: count(total) })}
        </Text>
      </Flex>
    </Page>
  );
}
