// The state of a run, a step or a job: a word, a shape and a colour, so that colour is never the only sign.
import { Box, Flex, Spinner } from "@chakra-ui/react";
import {
  Ban,
  Check,
  CircleDashed,
  CirclePause,
  Clock,
  type LucideIcon,
  Recycle,
  Skull,
  TriangleAlert,
  X,
} from "lucide-react";
import { useTranslation } from "react-i18next";

export const STATES = {
  queued: { tone: "gray", icon: Clock },
  planned: { tone: "gray", icon: CircleDashed },
  running: { tone: "accent", icon: null },
  stopping: { tone: "warning", icon: null },
  stopped: { tone: "warning", icon: CirclePause },
  interrupted: { tone: "warning", icon: CirclePause },
  succeeded: { tone: "success", icon: Check },
  reused: { tone: "gray", icon: Recycle },
  failed: { tone: "danger", icon: X },
  killed: { tone: "danger", icon: Skull },
  damaged: { tone: "danger", icon: TriangleAlert },
  removed: { tone: "gray", icon: Ban },
  cancelled: { tone: "gray", icon: Ban },
} as const satisfies Record<string, { tone: string; icon: LucideIcon | null }>;

export type StateName = keyof typeof STATES;
export const isState = (value: string): value is StateName => value in STATES;

/** States as they are called in the language of the page; one that it does not know stays as the server says it. */
export function useStateName(): (state: string) => string {
  const { t } = useTranslation();
  return (state) => (isState(state) ? t(`state.${state}`) : state);
}

export function StatusBadge({ state, label }: { state: string; label?: string }) {
  const nameOf = useStateName();
  const known = isState(state) ? state : null;
  const { tone, icon: Icon } = known ? STATES[known] : { tone: "gray", icon: CircleDashed };
  return (
    <Flex
      as="span"
      display="inline-flex"
      align="center"
      gap={1.5}
      colorPalette={tone}
      color="colorPalette.fg"
      textStyle="small"
      whiteSpace="nowrap"
    >
      <Box as="span" display="inline-flex" w="14px" justifyContent="center" aria-hidden>
        {Icon ? <Icon size={14} strokeWidth={2.25} /> : <Spinner size="xs" borderWidth="1.5px" boxSize="12px" />}
      </Box>
      {label ?? nameOf(state)}
    </Flex>
  );
}
