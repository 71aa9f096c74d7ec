// What the trainings of a draft would take, as it is written: memory, disk and time; and what is not known before.
import { Box, Button, Flex, Skeleton, Text } from "@chakra-ui/react";
import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { bytes, count, duration, percent } from "@/ui";
import type { Asked } from "./draft";
import { forecastQuery, type Plan, type StepForecast } from "./queries";

export interface ForecastProps {
  asked: Asked;
  plan: Plan;
  isPlanned: boolean;
}

export function Forecast({ asked, plan, isPlanned }: ForecastProps) {
  const { t } = useTranslation();
  const found = useQuery(forecastQuery(asked, isPlanned));
  const running = new Set(plan.steps.filter((one) => one.action !== "reuse").map((one) => one.step));
  const steps = found.data?.filter((one) => running.has(one.step)) ?? [];
  if (found.data && steps.length === 0) return null;
  return (
    <Box
      as="section"
      aria-label={t("compose.forecast")}
      aria-busy={found.isPending || undefined}
      borderWidth="1px"
      borderColor="border"
      borderRadius="l3"
      bg="bg.panel"
      overflow="hidden"
    >
      <Flex align="center" px={4} h="44px" borderBottomWidth="1px" borderColor="border.muted">
        <Text as="h2" textStyle="title">
          {t("compose.forecast")}
        </Text>
      </Flex>
      <Waiting found={found} />
      {steps.map((one, at) => (
        <Box key={one.step} px={4} py={3} borderTopWidth={at ? "1px" : 0} borderColor="border.muted">
          {steps.length > 1 && (
            <Text textStyle="small" fontWeight="500" mb={1}>
              {one.step}
            </Text>
          )}
          <Step step={one} seconds={plan.steps.find((step) => step.step === one.step)?.last_seconds ?? null} />
        </Box>
      ))}
    </Box>
  );
}

function Waiting({ found }: { found: UseQueryResult<StepForecast[]> }) {
  const { t } = useTranslation();
  if (found.data) return null;
  return (
    <Box px={4} py={3} minH="96px">
      {found.error ? (
        <Text textStyle="small" color="fg.muted" role="status">
          {t("compose.noForecast")} {found.error.message}
        </Text>
      ) : (
        <Flex direction="column" gap={3} py={1}>
          <Skeleton height="12px" w="80%" borderRadius="l1" />
          <Skeleton height="12px" w="60%" borderRadius="l1" />
          <Skeleton height="12px" w="70%" borderRadius="l1" />
        </Flex>
      )}
    </Box>
  );
}

function Step({ step, seconds }: { step: StepForecast; seconds: number | null }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const { forecast } = step;
  const time = seconds === null ? t("compose.timeUnknown") : t("compose.timeLast", { time: duration(seconds) });
  if (!forecast)
    return (
      <Text textStyle="small" color="fg.muted">
        {t("compose.unknown", { reason: step.unknown })}
      </Text>
    );
  const fits = forecast.memory_bytes <= forecast.free_memory_bytes;
  const kept = forecast.kept_checkpoints;
  const size = (kept ?? 1) * forecast.checkpoint_bytes + forecast.result_bytes;
  const fit = fits ? "memoryOf" : "memoryOver";
  return (
    <>
      <Flex as="dl" direction="column" gap={2} m={0} textStyle="small">
        <Line
          name={t("compose.memory")}
          value={t("compose.atMost", { size: bytes(forecast.memory_bytes) })}
          hint={[
            t(`compose.${fit}`, {
              free: bytes(forecast.free_memory_bytes),
              tokens: count(forecast.longest_tokens),
            }),
            forecast.processes > 1 &&
              t(forecast.memory_of === "device" ? "compose.memoryForDevice" : "compose.memoryForMachine", {
                count: forecast.processes,
              }),
          ]
            .filter(Boolean)
            .join("; ")}
          isBad={!fits}
        />
        <Line
          name={t("compose.disk")}
          value={t(kept === null ? "compose.atLeast" : "compose.about", { size: bytes(size) })}
          hint={t(kept === null ? "compose.diskOfAll" : "compose.diskOf", {
            result: bytes(forecast.result_bytes),
            count: kept ?? 1,
            size: bytes(forecast.checkpoint_bytes),
          })}
        />
        <Line name={t("compose.time")} value={time} />
        <Line
          name={t("compose.trains")}
          value={t("compose.trainsOf", {
            trained: count(forecast.trained),
            share: percent(forecast.trained / forecast.parameters),
          })}
        />
      </Flex>
      {forecast.choices.length > 0 && (
        <Button
          size="xs"
          variant="ghost"
          color="fg.muted"
          mx={-2}
          mt={2}
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {t("compose.choices", { count: forecast.choices.length })}
        </Button>
      )}
      {open && (
        <Flex as="ul" direction="column" gap={2} m={0} mt={1} p={0} listStyleType="none" textStyle="caption">
          {forecast.choices.map((one) => (
            <Box as="li" key={one.field}>
              <Text as="span" fontFamily="mono">
                {one.field}: {String(one.value)}
              </Text>
              <Text color="fg.muted">{one.reason}</Text>
            </Box>
          ))}
        </Flex>
      )}
    </>
  );
}

function Line({ name, value, hint, isBad }: { name: string; value: ReactNode; hint?: string; isBad?: boolean }) {
  return (
    <Flex gap={3}>
      <Text as="dt" w="72px" flexShrink={0} color="fg.muted">
        {name}
      </Text>
      <Box as="dd" m={0} minW={0}>
        <Text color={isBad ? "fg.error" : undefined} fontVariantNumeric="tabular-nums">
          {value}
        </Text>
        {hint && (
          <Text textStyle="caption" color="fg.muted">
            {hint}
          </Text>
        )}
      </Box>
    </Flex>
  );
}
