// A run in progress: its phase, how far it is, when it will end, its loss, as they happen.
import { Box, Flex, Text } from "@chakra-ui/react";
import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useEvents } from "@/api/useEvents";
import { count, duration, measure, Progress, Sparkline, StatusBadge } from "@/ui";
import { RunName } from "./name";
import { type RunSummary, runsQuery } from "./queries";

interface RunEvent {
  step: string;
  event:
    | { kind: "progress"; at: number; phase: string; done: number; total: number; unit: string }
    | { kind: "metric"; at: number; step: number; values: Record<string, number | string> }
    | { kind: "state"; at: number; state: string }
    | { kind: "note" | "chosen" | "checkpoint" | "table" | "failed"; at: number };
}

interface Seen {
  step: string;
  phase: string;
  done: number;
  total: number;
  unit: string;
  since: { at: number; done: number } | null;
  rate: number;
  losses: number[];
}

const MOST = 120;
const START: Seen = { step: "", phase: "", done: 0, total: 0, unit: "", since: null, rate: 0, losses: [] };

/** What is known after one more event. */
export function after(seen: Seen, { step, event }: RunEvent): Seen {
  if (event.kind === "progress") {
    const same = seen.step === step && seen.phase === event.phase && event.done >= seen.done;
    const since = same && seen.since ? seen.since : { at: event.at, done: event.done };
    const passed = event.at - since.at;
    const rate = passed > 0.5 ? (event.done - since.done) / passed : same ? seen.rate : 0;
    const { phase, done, total, unit } = event;
    return { ...seen, step, phase, done, total, unit, since, rate, losses: seen.step === step ? seen.losses : [] };
  }
  if (event.kind === "metric" && typeof event.values.loss === "number")
    return { ...seen, losses: [...(seen.step === step ? seen.losses : []), event.values.loss].slice(-MOST), step };
  return seen;
}

export function LiveRun({ run }: { run: RunSummary }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [seen, setSeen] = useState(START);
  const waiting = useRef<RunEvent[]>([]);
  const drawn = useRef(0);
  const draw = () => {
    drawn.current = 0;
    const events = waiting.current;
    waiting.current = [];
    setSeen((known) => events.reduce(after, known));
  };
  useEvents(
    `/api/v1/runs/${run.recipe}/${run.number}/events`,
    ({ event, data }) => {
      if (event === "end") {
        void cache.invalidateQueries({ queryKey: runsQuery.queryKey });
        return;
      }
      if (event === "reset") {
        waiting.current = [];
        setSeen(START);
        return;
      }
      waiting.current.push(JSON.parse(data) as RunEvent);
      if (!drawn.current) drawn.current = requestAnimationFrame(draw);
    },
    { endEvent: "end" },
  );
  const left = seen.rate > 0 && seen.total > seen.done ? (seen.total - seen.done) / seen.rate : null;
  const loss = seen.losses.at(-1);
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
            {loss !== undefined && `${t("live.loss")} ${measure(loss)}`}
          </Text>
          <Sparkline values={seen.losses} label={t("live.loss")} width={120} />
        </Flex>
      </Flex>
      <Box mt={3} mb={2}>
        <Progress label={run.run} done={seen.done} total={seen.total} />
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
          {seen.step && `${seen.step} · `}
          {seen.phase || t("live.starting")}
          {seen.total > 0 && ` · ${count(seen.done)} / ${count(seen.total)} ${seen.unit}`}
        </Text>
        <Text whiteSpace="nowrap">{left !== null && t("live.left", { time: duration(left) })}</Text>
      </Flex>
    </Box>
  );
}
