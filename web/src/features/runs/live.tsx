// A run in progress: its phase, how far it is, when it will end, its loss, as they happen.
import { Box, Flex, Text } from "@chakra-ui/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useEvents } from "@/api/useEvents";
import { etaOf, type LiveStep, lastOf, RunFollower } from "@/features/run/live";
import { count, duration, measure, Progress, Sparkline, StatusBadge } from "@/ui";
import { thinned } from "@/ui/chart/points";
import { RunName } from "./name";
import { lossQuery, type RunSummary, runsQuery } from "./queries";

const MOST = 120;
const EVERY = 250;

/** The step that was heard of last. */
export function newest(steps: ReadonlyMap<string, LiveStep>): [string, LiveStep] | undefined {
  return [...steps].reduce<[string, LiveStep] | undefined>(
    (found, one) => (found && found[1].at >= one[1].at ? found : one),
    undefined,
  );
}

export function LiveRun({ run }: { run: RunSummary }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const follower = useMemo(() => new RunFollower(EVERY), []);
  const [step, live] = newest(useSyncExternalStore(follower.subscribe, follower.snapshot)) ?? [];
  const stream = useEvents(
    `/api/v1/runs/${run.recipe}/${run.number}/events?brief=now`,
    (event) => {
      follower.take(event);
      if (event.event === "end") void cache.invalidateQueries({ queryKey: runsQuery.queryKey });
    },
    { endEvent: "end" },
  );
  // The stream has no metrics of the time before it: their curve is read once it is open.
  const atWork = run.steps.find((one) => one.state === "running")?.step;
  const { data: before } = useQuery({
    ...lossQuery(run.run, stream.state === "open" ? atWork : undefined, MOST),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0, // what comes after is in the events of this visit
  });
  useEffect(() => {
    if (atWork && before?.steps.length) follower.start(atWork, { loss: before });
  }, [atWork, before, follower]);
  const phase = live?.phase ?? null;
  const left = etaOf(phase);
  const points = live?.curves.loss;
  const losses = points ? thinned(points, MOST).values : [];
  const loss = lastOf(points);
  return (
    <Box
      as="article"
      aria-label={run.run}
      px={{ base: 4, md: 5 }}
      py={4}
      borderTopWidth="1px"
      borderColor="border.muted"
      _first={{ borderTopWidth: 0 }}
    >
      <Flex align="center" gap={3} minH="28px">
        <RunName recipe={run.recipe} number={run.number} />
        <StatusBadge state="running" />
        <Flex ms="auto" align="center" gap={3} hideBelow="sm">
          <Text textStyle="small" color="fg.muted" fontVariantNumeric="tabular-nums">
            {loss !== null && `${t("live.loss")} ${measure(loss)}`}
          </Text>
          <Sparkline values={losses} label={t("live.loss")} width={120} />
        </Flex>
      </Flex>
      <Box mt={3} mb={2}>
        <Progress label={run.run} done={phase?.done ?? 0} total={phase?.total ?? 0} />
      </Box>
      <Flex
        gap={4}
        justify="space-between"
        textStyle="small"
        color="fg.muted"
        minH="20px"
        fontVariantNumeric="tabular-nums"
      >
        <Text truncate>
          {step && `${step} · `}
          {phase?.name ?? t("live.starting")}
          {phase && phase.total > 0 && ` · ${count(phase.done)} / ${count(phase.total)} ${phase.unit}`}
        </Text>
        <Text whiteSpace="nowrap">{left !== null && t("live.left", { time: duration(left) })}</Text>
      </Flex>
    </Box>
  );
}
