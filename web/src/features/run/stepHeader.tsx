// A step at a glance: its state and phase, when it ends, and the numbers that matter now.
import { Box, Button, Flex, Grid, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import { MessagesSquare } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Block, count, duration, Progress, Sparkline, StatusBadge } from "@/ui";
import { type Points, reading, thinned } from "@/ui/chart";
import type { RunStep } from "./api";
import { etaOf, type LiveStep, lastOf } from "./live";
import { isTraining, stateOf, useNow } from "./useRun";

const VITALS = 70;

export interface StepHeaderProps {
  step: RunStep;
  live: LiveStep | undefined;
  /** Its curves have not come yet. */
  isLoading: boolean;
}

export function StepHeader({ step, live, isLoading }: StepHeaderProps) {
  const { t } = useTranslation();
  const state = stateOf(step, live);
  const isRunning = state === "running";
  const now = useNow(isRunning);
  const phase = live?.phase ?? null;
  const rate = lastOf(live?.curves.eta_seconds);
  const eta = isRunning ? (phase?.name === "train" && rate !== null ? rate : etaOf(phase)) : null;
  const left = eta === null ? null : Math.max(0, eta - Math.max(0, now - (live?.at ?? now)));
  const seconds = step.shown?.seconds ?? null;
  const attempts = step.shown?.attempts ?? 1;
  return (
    <Box>
      <Flex align="center" gap={3} wrap="wrap" minH="28px">
        <Text as="h2" textStyle="lead" fontWeight="600">
          {step.step}
        </Text>
        <StatusBadge state={state} />
        <Text textStyle="small" color="fg.muted">
          {[
            step.stage,
            !isRunning && seconds !== null ? duration(seconds) : "",
            attempts > 1 ? t("run.attempts", { count: attempts }) : "",
          ]
            .filter(Boolean)
            .join(" · ")}
        </Text>
        <CheckpointChat step={step} live={live} state={state} />
      </Flex>
      {isRunning && (
        <Box mt={3} minH="36px">
          <Flex justify="space-between" textStyle="small" mb={1.5} gap={4} fontVariantNumeric="tabular-nums">
            <Text truncate>
              {phase ? (
                <>
                  {phase.name}{" "}
                  <Text as="span" color="fg.muted">
                    {phase.total
                      ? t("run.doneOf", { done: count(phase.done), total: count(phase.total), unit: phase.unit })
                      : `${count(phase.done)} ${phase.unit}`}
                  </Text>
                </>
              ) : (
                t("run.starting")
              )}
            </Text>
            <Text color="fg.muted" whiteSpace="nowrap">
              {left === null ? "" : t("run.left", { time: duration(left) })}
            </Text>
          </Flex>
          <Progress label={phase?.name ?? t("run.starting")} done={phase?.done ?? 0} total={phase?.total ?? 0} />
        </Box>
      )}
      {isLoading && isTraining(step, live) && !live?.curves.loss ? (
        <Box mt={5}>
          <Block height={VITALS} />
        </Box>
      ) : (
        <Vitals step={step} live={live} />
      )}
    </Box>
  );
}

/** Leads to a chat with what a training has learned so far, as long as it keeps its checkpoints: until it succeeds. */
function CheckpointChat({ step, live, state }: Pick<StepHeaderProps, "step" | "live"> & { state: string }) {
  const { t } = useTranslation();
  const last = live?.checkpoints.at(-1);
  const base = step.shown?.inputs.base;
  const [recipe, number, name] = step.run.split("/");
  if (last === undefined || !name || state === "succeeded" || state === "reused") return null;
  const checkpoint = `${recipe}.${name}@${number}/step-last`;
  const models = base && !base.startsWith("step:") ? `${base},${checkpoint}` : checkpoint;
  return (
    <Button asChild size="xs" variant="outline" ms="auto">
      <Link to="/playground" search={{ models }}>
        <MessagesSquare aria-hidden />
        {t("run.chatCheckpoint", { step: count(last) })}
      </Link>
    </Button>
  );
}

/** The numbers of a training: shown as soon as there is one, and their places with the first. */
function Vitals({ step, live }: { step: RunStep; live: LiveStep | undefined }) {
  const { t } = useTranslation();
  const curves = live?.curves ?? {};
  const device = [...(live?.chosen ?? []), ...(step.shown?.chosen ?? [])].find((one) => one.field === "device")?.value;
  const metrics = [
    { key: "loss", name: t("run.loss"), points: curves.loss },
    { key: "eval_loss", name: t("run.evalLoss"), points: curves.eval_loss },
    { key: "reward", name: t("run.reward"), points: curves.reward },
    { key: "learning_rate", name: t("run.learningRate"), points: curves.learning_rate },
    { key: "grad_norm", name: t("run.gradNorm"), points: curves.grad_norm },
    { key: "tokens_per_second", name: t("run.speed"), points: curves.tokens_per_second },
  ].filter((one): one is typeof one & { points: Points } => (one.points?.steps.length ?? 0) > 0);
  if (metrics.length === 0) return null;
  return (
    <Grid
      as="dl"
      mt={5}
      mb={0}
      templateColumns={{
        base: "repeat(2, 1fr)",
        sm: "repeat(3, 1fr)",
        xl: `repeat(${metrics.length + (device ? 1 : 0)}, 1fr)`,
      }}
      bg="bg.panel"
      borderWidth="1px"
      borderColor="border"
      borderRadius="l3"
      overflow="hidden"
    >
      {metrics.map(({ key, name, points }) => (
        <Vital key={key} name={name} value={reading(lastOf(points))} points={points} />
      ))}
      {device !== undefined && <Vital name={t("run.device")} value={String(device)} />}
    </Grid>
  );
}

function Vital({ name, value, points }: { name: string; value: string; points?: Points }) {
  const { t } = useTranslation();
  return (
    <Flex direction="column" boxShadow="1px 1px 0 0 {colors.border.muted}" px={4} py={3} minW={0} flexGrow={1}>
      <Text as="dt" textStyle="caption" color="fg.muted" truncate>
        {name}
      </Text>
      <Flex as="dd" m={0} align="center" justify="space-between" gap={2} h="28px">
        <Text textStyle="lead" fontWeight="600" fontVariantNumeric="tabular-nums" whiteSpace="nowrap">
          {value}
        </Text>
        {points && (
          <Box hideBelow="sm">
            <Sparkline values={thinned(points, 60).values} label={t("run.course", { name })} width={56} height={20} />
          </Box>
        )}
      </Flex>
    </Flex>
  );
}
