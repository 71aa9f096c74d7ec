// Jobs: what runs, what waits in its order, what has ended; live.
import { Box, Button, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ListOrdered, Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { jobsQuery, useLiveJobs } from "@/features/jobs/queries";
import { Queue } from "@/features/jobs/queue";
import { JobRow } from "@/features/jobs/row";
import { count, EmptyState, ErrorCard, Page, Rich, Rows, Section } from "@/ui";

const SHOWN = 25;

export default function Jobs() {
  const { t } = useTranslation();
  const { data: list, error, refetch } = useQuery(jobsQuery);
  const jobs = list?.jobs;
  const [most, setMost] = useState(SHOWN);
  useLiveJobs(list?.revision);
  const running = jobs?.filter((job) => job.state === "running") ?? [];
  const waiting = jobs?.filter((job) => job.state === "queued") ?? [];
  const { counts = {}, left_out = 0 } = list ?? {};
  const all = {
    running: counts.running ?? 0,
    waiting: counts.queued ?? 0,
    ended: (counts.succeeded ?? 0) + (counts.failed ?? 0) + (counts.cancelled ?? 0),
  };
  const ended = jobs?.filter((job) => job.state !== "running" && job.state !== "queued") ?? [];
  return (
    <Page
      title={t("nav.jobs")}
      description={t("jobs.hint")}
      actions={
        <Button asChild size="sm" colorPalette="accent">
          <Link to="/new">
            <Plus aria-hidden />
            {t("nav.new")}
          </Link>
        </Button>
      }
    >
      {error && !jobs && <ErrorCard error={error} onRetry={() => void refetch()} />}
      {!jobs && !error && (
        <Section flush>
          <Rows count={6} height={60} />
        </Section>
      )}
      {jobs?.length === 0 && (
        <Section flush>
          <EmptyState
            icon={ListOrdered}
            title={t("jobs.empty")}
            action={
              <Button asChild size="sm" colorPalette="accent">
                <Link to="/new">{t("nav.new")}</Link>
              </Button>
            }
          >
            <Rich>{t("jobs.emptyHint")}</Rich>
          </EmptyState>
        </Section>
      )}
      {running.length > 0 && (
        <Section flush title={`${t("jobs.running")} (${count(all.running)})`}>
          {running.map((job, at) => (
            <Box key={job.id} borderTopWidth={at ? "1px" : 0} borderColor="border.muted">
              <JobRow job={job} />
            </Box>
          ))}
        </Section>
      )}
      {waiting.length > 0 && (
        <Section flush title={`${t("jobs.waiting")} (${count(all.waiting)})`} description={t("jobs.order")}>
          <Queue jobs={waiting} open={new Map([...running, ...waiting].map((job) => [job.id, job.step]))} />
        </Section>
      )}
      {ended.length > 0 && (
        <Section flush title={`${t("jobs.ended")} (${count(all.ended)})`}>
          {ended.slice(0, most).map((job, at) => (
            <Box key={job.id} borderTopWidth={at ? "1px" : 0} borderColor="border.muted">
              <JobRow job={job} />
            </Box>
          ))}
          {ended.length > most && (
            <Box p={3} borderTopWidth="1px" borderColor="border.muted" textAlign="center">
              <Button size="xs" variant="ghost" onClick={() => setMost(most + 100)}>
                {t("jobs.more")}
              </Button>
            </Box>
          )}
        </Section>
      )}
      {left_out > 0 && <Text color="fg.muted">{t("jobs.leftOut", { count: left_out, jobs: count(left_out) })}</Text>}
    </Page>
  );
}
