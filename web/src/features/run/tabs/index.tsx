// The tabs of a step. Only the one that is shown asks for anything.
import { Box, Tabs } from "@chakra-ui/react";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Lines } from "@/ui";
import { later } from "@/ui/later";
import { useChosenInSight } from "@/ui/sight";
import type { RunDetail, RunName, RunStep } from "../api";
import type { LiveStep } from "../live";
import { Overview } from "../overview";
import type { RunSearch } from "../search";
import { isTraining } from "../useRun";

export interface TabProps {
  name: RunName;
  detail: RunDetail;
  step: RunStep;
  live: LiveStep | undefined;
  search: RunSearch;
  isLoading: boolean;
}

const waiting = () => (
  <Box minH="320px">
    <Lines count={6} />
  </Box>
);
const Seen = later(() => import("./seen"), waiting);
const LedgerRows = later(() => import("./rows"), waiting);
const Samples = later(() => import("./samples"), waiting);
const Logs = later(() => import("./logs"), waiting);
const Config = later(() => import("./config"), waiting);
const Proofs = later(() => import("./proofs"), waiting);
const Files = later(() => import("./files"), waiting);

const TABS = {
  overview: Overview,
  seen: Seen,
  rows: LedgerRows,
  samples: Samples,
  logs: Logs,
  config: Config,
  proofs: Proofs,
  files: Files,
} as const;
type TabName = keyof typeof TABS;
const NAMES = Object.keys(TABS) as TabName[];
/** Tabs of a training: other steps see no rows in steps. */
const OF_TRAINING: ReadonlySet<TabName> = new Set(["seen", "rows"]);

export function StepTabs(props: TabProps) {
  const { name, step, live, search } = props;
  const { t } = useTranslation();
  const navigate = useNavigate();
  const names = NAMES.filter((one) => !OF_TRAINING.has(one) || isTraining(step, live) || search.tab === one);
  const chosen = names.find((one) => one === search.tab) ?? "overview";
  const Shown = TABS[chosen];
  const list = useChosenInSight<HTMLDivElement>(chosen);
  return (
    <Tabs.Root
      value={chosen}
      variant="line"
      size="sm"
      activationMode="manual"
      onValueChange={({ value }) =>
        void navigate({
          to: "/runs/$recipe/$number",
          params: name,
          search: { step: step.step, tab: value === "overview" ? undefined : value },
          resetScroll: false,
        })
      }
    >
      <Tabs.List
        ref={list}
        colorPalette="accent"
        overflowX="auto"
        overflowY="hidden"
        scrollbarWidth="none"
        aria-label={t("run.tabs")}
      >
        {names.map((one) => (
          <Tabs.Trigger
            key={one}
            value={one}
            px={3}
            whiteSpace="nowrap"
            flexShrink={0}
            fontWeight={one === chosen ? "550" : "400"}
          >
            {t(`run.tab.${one}`)}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      <Tabs.Content value={chosen} pt={{ base: 4, md: 6 }} tabIndex={-1}>
        <Shown key={step.step} {...props} />
      </Tabs.Content>
    </Tabs.Root>
  );
}
