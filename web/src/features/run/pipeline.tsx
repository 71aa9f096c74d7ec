// The steps of a run in their order: a quiet list beside the contents, a row to swipe on a phone.
import { Box, Flex, Spinner, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import { CircleDashed, Flag } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { duration, percent } from "@/ui";
import { useChosenInSight } from "@/ui/sight";
import { isState, STATES, useStateName } from "@/ui/status";
import type { RunName, RunStep } from "./api";
import type { LiveStep } from "./live";
import type { RunSearch } from "./search";
import { stateOf } from "./useRun";

export interface PipelineProps {
  name: RunName;
  steps: readonly RunStep[];
  live: ReadonlyMap<string, LiveStep>;
  chosen: string;
  tab: string | undefined;
  /** The run has succeeded: what it came to is shown before its steps. */
  hasResult: boolean;
}

export function Pipeline({ name, steps, live, chosen, tab, hasResult }: PipelineProps) {
  const { t } = useTranslation();
  const list = useChosenInSight<HTMLDivElement>(chosen);
  return (
    <Box as="nav" aria-label={t("run.steps")} minW={0}>
      <Flex
        as="ol"
        ref={list}
        direction={{ base: "row", lg: "column" }}
        listStyleType="none"
        m={0}
        p={0}
        gap={{ base: 1, lg: "1px" }}
        overflowX={{ base: "auto", lg: "visible" }}
        position="relative"
        pb={{ base: 1, lg: 0 }}
        scrollbarWidth="none"
      >
        {hasResult && <ResultSeat name={name} isChosen={chosen === ""} />}
        {steps.map((step, at) => (
          <Seat
            key={step.step}
            name={name}
            step={step}
            live={live.get(step.step)}
            isChosen={step.step === chosen}
            isLast={at === steps.length - 1}
            tab={tab}
          />
        ))}
      </Flex>
    </Box>
  );
}

function ResultSeat({ name, isChosen }: { name: RunName; isChosen: boolean }) {
  const { t } = useTranslation();
  return (
    <Box as="li" flexShrink={0} mb={{ lg: 2 }}>
      <SeatLink name={name} search={{}} isChosen={isChosen} height="40px">
        <Box color="accent.fg" flexShrink={0}>
          <Flag size={16} aria-hidden />
        </Box>
        <Text textStyle="small" fontWeight={isChosen ? "600" : "450"}>
          {t("run.result")}
        </Text>
      </SeatLink>
    </Box>
  );
}

interface SeatLinkProps {
  name: RunName;
  search: RunSearch;
  isChosen: boolean;
  /** In the list beside the contents; in the row of a phone all are equally high. */
  height: string;
  children: ReactNode;
}

function SeatLink({ name, search, isChosen, height, children }: SeatLinkProps) {
  return (
    <Flex
      asChild
      align="center"
      gap={2.5}
      h={{ base: "36px", lg: height }}
      px={2.5}
      borderRadius="l2"
      bg={isChosen ? "bg.muted" : undefined}
      _hover={{ bg: "bg.muted" }}
      _focusVisible={{ outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" }}
    >
      <Link
        to="/runs/$recipe/$number"
        params={name}
        search={search}
        resetScroll={false}
        aria-current={isChosen ? "step" : undefined}
      >
        {children}
      </Link>
    </Flex>
  );
}

interface SeatProps {
  name: RunName;
  step: RunStep;
  live: LiveStep | undefined;
  isChosen: boolean;
  isLast: boolean;
  tab: string | undefined;
}

function Seat({ name, step, live, isChosen, isLast, tab }: SeatProps) {
  const nameOf = useStateName();
  const state = stateOf(step, live);
  const seconds = state === "running" ? null : step.shown?.seconds;
  const share = live?.phase?.total ? live.phase.done / live.phase.total : null;
  const said = state === "running" ? (share === null ? "" : percent(share)) : seconds ? duration(seconds) : "";
  return (
    <Box as="li" position="relative" flexShrink={0}>
      {!isLast && (
        <Box
          hideBelow="lg"
          position="absolute"
          left="17.5px"
          top="32px"
          h="14px"
          w="1px"
          bg="border.emphasized"
          aria-hidden
        />
      )}
      <SeatLink name={name} search={{ step: step.step, tab }} isChosen={isChosen} height="44px">
        <Sign state={state} />
        <Box minW={0} flex={1}>
          <Text textStyle="small" fontWeight={isChosen ? "600" : "450"} lineHeight="18px" truncate>
            {step.step}
          </Text>
          <Text hideBelow="lg" textStyle="caption" color="fg.muted" truncate>
            {step.stage}
          </Text>
        </Box>
        <Text hideBelow="lg" textStyle="caption" color="fg.muted" fontVariantNumeric="tabular-nums">
          {said}
        </Text>
        <Box as="span" srOnly>
          {nameOf(state)}
        </Box>
      </SeatLink>
    </Box>
  );
}

/** The state as a small disc. */
export function Sign({ state }: { state: string }) {
  const { tone, icon: Icon } = isState(state) ? STATES[state] : { tone: "gray", icon: CircleDashed };
  const isQuiet = tone === "gray";
  return (
    <Flex
      boxSize="16px"
      flexShrink={0}
      align="center"
      justify="center"
      borderRadius="full"
      colorPalette={tone}
      color={isQuiet ? "fg.subtle" : Icon ? "white" : "colorPalette.fg"}
      bg={isQuiet || !Icon ? "transparent" : "colorPalette.solid"}
      aria-hidden
    >
      {Icon ? (
        <Icon size={isQuiet ? 15 : 11} strokeWidth={isQuiet ? 2 : 3} />
      ) : (
        <Spinner size="xs" borderWidth="2px" boxSize="15px" />
      )}
    </Flex>
  );
}
