// What the draft would do, and the same as YAML, as a command and as Python.
import { Badge, Box, Button, Field, Flex, Input, Spinner, Text } from "@chakra-ui/react";
import { ArrowRight, Info, Play, TriangleAlert } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { bytes, Code, duration, ErrorCard, Segments } from "@/ui";
import type { Asked, Typed } from "./draft";
import { Forecast } from "./forecast";
import type { Plan } from "./queries";
import { isPriority, isTime, queuedOf } from "./typed";

export interface PreviewProps {
  plan: Plan | undefined;
  error: unknown;
  /** The plan is of an earlier draft. */
  stale: boolean;
  faults: number;
  /** The names of the settings that are still to be filled in. */
  open?: readonly string[];
  typed: Typed;
  onTyped: (typed: Typed) => void;
  submitting: boolean;
  onSubmit: () => void;
  /** What the plan is of. */
  asked: Asked;
}

/** The colours of what a plan does with a step. */
export const TONES = { run: "accent", reuse: "gray", resume: "warning", wait: "gray" } as const;
const FEW = 4;

export function Preview(props: PreviewProps) {
  const { plan, error, stale, submitting, onSubmit, faults, open = [] } = props;
  const toFill = faults === 0 && open.length > 0;
  const { t } = useTranslation();
  const [isWhole, setWhole] = useState(false);
  const toDo = plan?.steps.filter((step) => step.action !== "reuse") ?? [];
  const known = toDo.filter((step) => step.last_seconds !== null);
  const seconds = known.reduce((sum, step) => sum + (step.last_seconds ?? 0), 0);
  const label = plan && !stale && !error && toDo.length === 0 ? t("compose.nothingToDo") : t("compose.run");
  return (
    <Flex direction="column" gap={4}>
      <Box hideBelow="lg">
        <Button
          w="full"
          colorPalette="accent"
          loading={submitting}
          disabled={(error !== null && error !== undefined && !toFill) || queuedOf(props.typed) === null}
          onClick={onSubmit}
        >
          <Play aria-hidden />
          {label}
        </Button>
      </Box>
      {plan && <Forecast asked={props.asked} plan={plan} isPlanned={!error && !stale} />}
      <Box borderWidth="1px" borderColor="border" borderRadius="l3" bg="bg.panel" overflow="hidden">
        <Flex align="center" px={4} h="44px" borderBottomWidth="1px" borderColor="border.muted">
          <Text as="h2" textStyle="title" flex={1}>
            {t("compose.plan")}
          </Text>
          <Box role="status" aria-label={stale ? t("compose.planning") : undefined}>
            {stale && <Spinner size="xs" color="fg.subtle" />}
          </Box>
        </Flex>
        {error !== null && error !== undefined && faults === 0 && open.length === 0 && (
          <Box p={3}>
            <ErrorCard error={error} />
          </Box>
        )}
        {toFill && (
          <Text px={4} py={3} color="fg.muted" textStyle="small" role="status">
            {t("compose.toFill", { names: open.join(", ") })}
          </Text>
        )}
        {faults > 0 && (
          <Flex px={4} py={3} gap={2} color="fg.error" textStyle="small" role="status">
            <Box pt="3px">
              <TriangleAlert size={14} aria-hidden />
            </Box>
            {t("compose.correct", { count: faults })}
          </Flex>
        )}
        <Box minH={plan ? undefined : "120px"} aria-busy={stale}>
          {plan?.steps.slice(0, isWhole ? undefined : FEW).map((step) => (
            <Flex
              key={step.step}
              px={4}
              py={2}
              gap={3}
              align="center"
              borderTopWidth="1px"
              borderColor="border.muted"
              _first={{ borderTopWidth: 0 }}
            >
              <Box minW={0} flex={1}>
                <Text truncate fontWeight="500" textStyle="small">
                  {step.step}
                </Text>
                <Text textStyle="caption" color="fg.muted" lineClamp={2}>
                  {step.reason}
                </Text>
              </Box>
              <Badge colorPalette={TONES[step.action]} variant="subtle" flexShrink={0}>
                {t(`compose.action_${step.action}`)}
              </Badge>
            </Flex>
          ))}
          {plan && plan.steps.length > FEW && (
            <Button size="xs" variant="ghost" color="fg.muted" mx={2} mb={2} onClick={() => setWhole(!isWhole)}>
              {isWhole ? t("compose.fewSteps") : t("compose.allSteps", { count: plan.steps.length })}
            </Button>
          )}
        </Box>
        {plan && (
          <Box px={4} py={3} borderTopWidth="1px" borderColor="border.muted" textStyle="small" color="fg.muted">
            <Flex justify="space-between" gap={4}>
              <span>{t("compose.toRun", { count: toDo.length, all: plan.steps.length })}</span>
              <span>{t("compose.free", { size: bytes(plan.free_bytes) })}</span>
            </Flex>
            {known.length > 0 && <Text>{t("compose.lastTime", { count: known.length, time: duration(seconds) })}</Text>}
          </Box>
        )}
      </Box>
      {plan && (plan.notes.length > 0 || plan.warnings.length > 0) && (
        <Flex direction="column" gap={2} textStyle="small">
          {plan.warnings.map((text) => (
            <Note key={text} icon={<TriangleAlert size={14} aria-hidden />} tone="fg.warning">
              {text}
            </Note>
          ))}
          {plan.notes.map((text) => (
            <Note key={text} icon={<Info size={14} aria-hidden />} tone="fg.muted">
              {text}
            </Note>
          ))}
        </Flex>
      )}
      <Options typed={props.typed} onTyped={props.onTyped} />
      {plan && <Forms plan={plan} />}
    </Flex>
  );
}

function Note({ icon, tone, children }: { icon: ReactNode; tone: string; children: ReactNode }) {
  return (
    <Flex gap={2} color={tone} overflowWrap="anywhere">
      <Box pt="3px" flexShrink={0}>
        {icon}
      </Box>
      <Box minW={0}>{children}</Box>
    </Flex>
  );
}

function Options({ typed, onTyped }: { typed: Typed; onTyped: (typed: Typed) => void }) {
  const { t } = useTranslation();
  const [chosen, setOpen] = useState(false);
  const isWrong = queuedOf(typed) === null;
  const open = chosen || isWrong || typed.priority !== "" || typed.time !== "";
  return (
    <Box>
      <Button size="xs" variant="ghost" color="fg.muted" mx={-2} aria-expanded={open} onClick={() => setOpen(!open)}>
        <Box transform={open ? "rotate(90deg)" : undefined} transition="transform 120ms" aria-hidden>
          <ArrowRight size={12} />
        </Box>
        {t("compose.queueing")}
      </Button>
      {open && (
        <Flex gap={3} mt={2}>
          <Field.Root flex={1} invalid={!isPriority(typed.priority)}>
            <Field.Label textStyle="caption" color="fg.muted">
              {t("compose.priority")}
            </Field.Label>
            <Input
              size="sm"
              inputMode="numeric"
              placeholder="0"
              value={typed.priority}
              onChange={(event) => onTyped({ ...typed, priority: event.target.value })}
            />
            <Field.ErrorText>{t("compose.noPriority")}</Field.ErrorText>
          </Field.Root>
          <Field.Root flex={1} invalid={!isTime(typed.time)}>
            <Field.Label textStyle="caption" color="fg.muted">
              {t("compose.timeLimit")}
            </Field.Label>
            <Input
              size="sm"
              inputMode="decimal"
              placeholder={t("form.none")}
              value={typed.time}
              onChange={(event) => onTyped({ ...typed, time: event.target.value })}
            />
            <Field.ErrorText>{t("compose.noTime")}</Field.ErrorText>
          </Field.Root>
        </Flex>
      )}
    </Box>
  );
}

const FORMS = ["yaml", "command", "python"] as const;
type FormName = (typeof FORMS)[number];

function Forms({ plan }: { plan: Plan }) {
  const { t } = useTranslation();
  const [shown, setShown] = useState<FormName>("yaml");
  const names = { yaml: "YAML", command: t("compose.command"), python: "Python" };
  return (
    <Flex direction="column" gap={2}>
      <Segments
        label={t("compose.sameAs")}
        options={FORMS.map((one) => ({ value: one, label: names[one] }))}
        value={shown}
        onChange={(one) => setShown(one as FormName)}
      />
      <Code label={shown === "yaml" ? `${plan.recipe}.yaml` : names[shown]} maxHeight="360px">
        {plan[shown].trimEnd()}
      </Code>
    </Flex>
  );
}
