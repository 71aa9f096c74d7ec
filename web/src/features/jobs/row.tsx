// A job in a line: its name, what it does, why it is in its state, and what can be done with it.
import { Box, Flex, IconButton, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import { CircleStop, RotateCcw, X } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Ago, duration, StatusBadge } from "@/ui";
import { type Job, useJobVerb } from "./queries";

export function JobName({ job }: { job: Job }) {
  return (
    <Text truncate>
      <Box as="span" fontWeight="500" _hover={{ textDecoration: "underline", textUnderlineOffset: "3px" }}>
        <Link
          to="/runs/$recipe/$number"
          params={{ recipe: job.recipe, number: String(job.number) }}
          search={{ step: job.step, tab: undefined }}
        >
          {job.step}
        </Link>
      </Box>
      <Box as="span" color="fg.muted">
        {" "}
        {job.recipe} #{job.number}
      </Box>
    </Text>
  );
}

function Cancel({ job }: { job: Job }) {
  const { t } = useTranslation();
  const cancel = useJobVerb("cancel");
  const isRunning = job.state === "running";
  const name = t(isRunning ? (job.requested ? "jobs.kill" : "jobs.stop") : "jobs.cancel", { job: job.step });
  return (
    <IconButton
      size="xs"
      variant="ghost"
      color="fg.muted"
      aria-label={name}
      title={name}
      loading={cancel.isPending}
      onClick={() => cancel.mutate(job.id)}
    >
      {isRunning ? <CircleStop /> : <X />}
    </IconButton>
  );
}

function Resume({ job }: { job: Job }) {
  const { t } = useTranslation();
  const resume = useJobVerb("resume");
  const name = t("jobs.resume", { job: job.step });
  return (
    <IconButton
      size="xs"
      variant="ghost"
      color="fg.muted"
      aria-label={name}
      title={name}
      loading={resume.isPending}
      onClick={() => resume.mutate(job.id)}
    >
      <RotateCcw />
    </IconButton>
  );
}

function Detail({ job, after }: { job: Job; after: readonly string[] }) {
  const { t } = useTranslation();
  const parts = [
    job.stage,
    after.length > 0 && t("jobs.after", { steps: after.join(", ") }),
    job.worker && job.state === "running" && t("jobs.on", { worker: job.worker }),
    job.attempts > 1 && t("jobs.attempt", { number: job.attempts, most: job.max_attempts }),
    job.priority !== 0 && t("jobs.priority", { value: job.priority }),
    job.error?.what ?? job.reason,
  ].filter(Boolean);
  return (
    <Text textStyle="small" color="fg.muted" truncate title={parts.join(" · ")}>
      {parts.join(" · ")}
    </Text>
  );
}

export interface JobRowProps {
  job: Job;
  /** The steps that must end before it. */
  after?: readonly string[];
  handle?: ReactNode;
}

export function JobRow({ job, after = [], handle }: JobRowProps) {
  return (
    <Flex align="center" gap={{ base: 2, md: 4 }} h="60px" px={{ base: 4, md: 5 }} bg="bg.panel">
      {handle}
      <Box flex={1} minW={0}>
        <JobName job={job} />
        <Detail job={job} after={after} />
      </Box>
      {!handle && (
        <Box w={{ md: "110px" }} flexShrink={0}>
          <StatusBadge state={job.requested && job.state === "running" ? "stopping" : job.state} />
        </Box>
      )}
      <Box w="92px" textAlign="end" textStyle="small" color="fg.muted" hideBelow="md" fontVariantNumeric="tabular-nums">
        {job.started && job.ended ? duration(job.ended - job.started) : <Ago at={job.started ?? job.created} />}
      </Box>
      <Box w="32px" flexShrink={0}>
        {(job.state === "queued" || job.state === "running") && <Cancel job={job} />}
        {(job.state === "failed" || job.state === "cancelled") && <Resume job={job} />}
      </Box>
    </Flex>
  );
}
