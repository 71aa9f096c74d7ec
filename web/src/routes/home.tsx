// Home: what runs, what waits, the machine, what was run last.
import { Box, Button, Flex, Grid, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { FirstRun } from "@/features/home/first";
import { Waiting } from "@/features/jobs/waiting";
import { Alerts, MachineCard } from "@/features/machine/card";
import { LiveRun } from "@/features/runs/live";
import { runsQuery } from "@/features/runs/queries";
import { RunTable } from "@/features/runs/table";
import { ErrorCard, Page, Rows, Section } from "@/ui";
import { useQuiet } from "@/ui/quiet";

const RECENT = 8;

export default function Home() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { data: runs, error, refetch } = useQuery(runsQuery);
  const running = runs?.filter((run) => run.state === "running") ?? [];
  const others = runs?.filter((run) => run.state !== "running"); // those that run are above
  const isQuiet = useQuiet(runs !== undefined || error !== null);
  return (
    <Page
      title={t("nav.home")}
      actions={
        <Button asChild size="sm" colorPalette="accent">
          <Link to="/new" search={{ recipe: undefined }}>
            <Plus aria-hidden />
            {t("nav.new")}
          </Link>
        </Button>
      }
    >
      {error && !runs && <ErrorCard error={error} onRetry={() => void refetch()} />}
      <Grid templateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(0, 1fr) 300px" }} gap={6} alignItems="start">
        <Flex direction="column" gap={6} minW={0}>
          {runs?.length === 0 && <FirstRun />}
          {runs?.length !== 0 && (
            <Section title={t("home.running")} flush>
              {running.map((run) => (
                <LiveRun key={run.run} run={run} />
              ))}
              {runs && running.length === 0 && (
                <Text px={{ base: 4, md: 5 }} py={5} color="fg.muted">
                  {t("home.idle")}
                </Text>
              )}
              {!runs && <Box h="62px" />}
              <Waiting />
            </Section>
          )}
          {others?.length !== 0 && (
            <Section
              title={t("home.recent")}
              flush
              actions={
                <Button asChild size="xs" variant="ghost" color="fg.muted">
                  <Link to="/runs">{t("home.all")}</Link>
                </Button>
              }
            >
              {others ? (
                <RunTable
                  runs={others.slice(0, RECENT)}
                  onOpen={(run) =>
                    void navigate({
                      to: "/runs/$recipe/$number",
                      params: { recipe: run.recipe, number: String(run.number) },
                      search: { step: undefined, tab: undefined },
                    })
                  }
                />
              ) : (
                <Rows count={RECENT} />
              )}
            </Section>
          )}
        </Flex>
        <Flex direction="column" gap={6} minW={0}>
          <MachineCard isQuiet={isQuiet} />
          <Alerts isQuiet={isQuiet} />
        </Flex>
      </Grid>
    </Page>
  );
}
