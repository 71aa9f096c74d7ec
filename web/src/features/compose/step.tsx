// One step of a recipe: its stage, what the plan says of it, and the form of its settings.

import { Badge, Box, Flex, IconButton, Menu, Portal, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { ChevronRight, Ellipsis } from "lucide-react";
import { memo, useId, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { stageSummary } from "@/i18n/names";
import { duration, ErrorCard, Lines, Rich } from "@/ui";
import { type Fault, faultsWithin, SettingsForm, type Suggestion, type Values } from "../form";
import { settingsOf, stageOf } from "./draft";
import { TONES } from "./preview";
import { type Plan, stageQuery } from "./queries";

export interface StepCardProps {
  name: string;
  step: Values;
  summary: string;
  before: Values | undefined;
  planned: Plan["steps"][number] | undefined;
  faults: readonly Fault[];
  expert: boolean;
  query: string;
  /** Whether it is unfolded. */
  open: boolean;
  alone: boolean;
  forced: boolean;
  suggest: (path: string) => readonly Suggestion[] | null;
  onFold: (name: string, open: boolean) => void;
  onChange: (name: string, step: Values) => void;
  onForce: (name: string) => void;
  onRemove: (name: string) => void;
}

export const StepCard = memo(function StepCard(props: StepCardProps) {
  const { name, step, summary, planned, faults, open, alone, forced } = props;
  const { t } = useTranslation();
  const id = useId();
  const stage = stageOf(step);
  const errors = useMemo(() => faultsWithin(faults, name), [faults, name]);
  const detail = useQuery({ ...stageQuery(stage), enabled: open });
  const settings = useMemo(() => settingsOf(step), [step]);
  const before = useMemo(() => (props.before ? settingsOf(props.before) : undefined), [props.before]);
  return (
    <Box as="section" aria-label={name} borderWidth="1px" borderColor="border" borderRadius="l3" bg="bg.panel">
      <Flex align="center" minH="56px" pe={3}>
        <Flex
          as="button"
          flex={1}
          minW={0}
          align="center"
          gap={3}
          ps={4}
          py={3}
          textAlign="start"
          aria-expanded={open}
          aria-controls={id}
          borderRadius="l3"
          cursor="pointer"
          onClick={() => props.onFold(name, !open)}
          _focusVisible={{ outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" }}
        >
          <Box
            color="fg.subtle"
            flexShrink={0}
            transform={open ? "rotate(90deg)" : undefined}
            transition="transform 120ms"
          >
            <ChevronRight size={16} aria-hidden />
          </Box>
          <Box minW={0}>
            <Flex align="baseline" gap={2}>
              <Text as="span" textStyle="title">
                {name}
              </Text>
              {name !== stage && (
                <Text as="span" textStyle="small" color="fg.muted">
                  {stage}
                </Text>
              )}
            </Flex>
            {!open && (
              <Text textStyle="caption" color="fg.muted" truncate>
                <Rich>{summary || "\u00a0"}</Rich>
              </Text>
            )}
          </Box>
        </Flex>
        {errors.size > 0 ? (
          <Badge colorPalette="danger" variant="subtle">
            {t("compose.faults", { count: errors.size })}
          </Badge>
        ) : (
          planned && (
            <Badge colorPalette={TONES[planned.action]} variant="subtle" title={planned.reason}>
              {t(`compose.action_${planned.action}`)}
              {planned.action !== "reuse" && planned.last_seconds !== null && ` · ${duration(planned.last_seconds)}`}
            </Badge>
          )
        )}
        <Menu.Root positioning={{ placement: "bottom-end" }}>
          <Menu.Trigger asChild>
            <IconButton size="xs" variant="ghost" color="fg.muted" ms={1} aria-label={t("compose.stepMenu", { name })}>
              <Ellipsis />
            </IconButton>
          </Menu.Trigger>
          <Portal>
            <Menu.Positioner>
              <Menu.Content>
                <Menu.CheckboxItem value="force" checked={forced} onCheckedChange={() => props.onForce(name)}>
                  <Menu.ItemIndicator />
                  {t("compose.force")}
                </Menu.CheckboxItem>
                {!alone && (
                  <Menu.Item value="remove" color="fg.error" onSelect={() => props.onRemove(name)}>
                    {t("compose.removeStep")}
                  </Menu.Item>
                )}
              </Menu.Content>
            </Menu.Positioner>
          </Portal>
        </Menu.Root>
      </Flex>
      {open && (
        <Box id={id} px={{ base: 4, md: 5 }} pb={4} borderTopWidth="1px" borderColor="border.muted" pt={2}>
          {errors.get("") && (
            <Text role="alert" color="fg.error" textStyle="small" py={2}>
              {errors.get("")}
            </Text>
          )}
          {detail.error && !detail.data && <ErrorCard error={detail.error} onRetry={() => void detail.refetch()} />}
          {!detail.data && !detail.error && (
            <Box py={4}>
              <Lines count={6} />
            </Box>
          )}
          {detail.data && (
            <>
              {detail.data.problem && <Text color="fg.error">{detail.data.problem}</Text>}
              <Text color="fg.muted" textStyle="small" pt={2} pb={1} maxW="72ch">
                <Rich>{stageSummary(detail.data)}</Rich>
              </Text>
              <SettingsForm
                schema={detail.data.json_schema}
                values={settings}
                onChange={(values) => props.onChange(name, { stage, ...values })}
                expert={props.expert}
                query={props.query}
                elsewhere={detail.data.elsewhere}
                basic={detail.data.usual}
                errors={errors}
                before={before}
                suggest={props.suggest}
              />
            </>
          )}
        </Box>
      )}
    </Box>
  );
});
