// The draft of a run: its steps as forms, and beside them what they would do.

import { Box, Button, Field, Flex, Grid, Input, Menu, Portal } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Plus, Search, Undo2 } from "lucide-react";
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { datasetsQuery } from "@/features/data/queries";
import { fieldName, stageSummary } from "@/i18n/names";
import { bytes, count, Page, Rich, Segments, warn } from "@/ui";
import { differences, type Fault, faultsOf, hasFault, isSame, isValues, sorted, type Values } from "../form";
import { RunBar } from "./bar";
import { askedOf, type Draft, freeName, isSameDraft, rebased, stageOf } from "./draft";
import { dropDraft, keepDraft, keptDraft } from "./kept";
import { Preview } from "./preview";
import { type Plan, planQuery, type Stage, stagesQuery, submit } from "./queries";
import { suggestionsFor } from "./references";
import { useSettled } from "./settled";
import { StepCard } from "./step";
import { queuedOf } from "./typed";

const NO_FAULTS: readonly Fault[] = [];
const NO_FOLDS: ReadonlyMap<string, boolean> = new Map();
const UNTOUCHED: ReadonlySet<string> = new Set();

/** The steps that are unfolded at first: all of a few, else those that train and those that read a file. */
function firstOpen(draft: Draft, stages: readonly Stage[]): Set<string> {
  const names = Object.keys(draft.steps);
  if (names.length <= 2) return new Set(names);
  const trains = (step: Values) =>
    ["train", "preferences", "rl"].includes(stages.find((one) => one.name === stageOf(step))?.family ?? "");
  const reads = (step: Values) => typeof step.source === "string" && step.source.startsWith("file:");
  const wanted = names.filter((name) => reads(draft.steps[name] ?? {}));
  const first = names.find((name) => trains(draft.steps[name] ?? {}));
  return new Set([...wanted, ...(first ? [first] : []), ...(wanted.length || first ? [] : names.slice(0, 1))]);
}

/** The draft, over what it began with: that may be fetched again, and be another. */
function useDraft(opened: Draft, storeKey: string) {
  const [start, setStart] = useState(opened);
  const [draft, setDraft] = useState(() => keptDraft(storeKey, opened));
  const isDone = useRef(false);
  if (!isSame(opened.origin.values ?? null, start.origin.values ?? null)) {
    setStart(opened);
    setDraft(rebased(draft, start, opened));
  }
  useEffect(() => {
    if (!isDone.current) keepDraft(storeKey, start, draft);
  }, [storeKey, start, draft]);
  const drop = () => {
    isDone.current = true;
    dropDraft(storeKey);
  };
  return { draft, setDraft, start, drop };
}

export function Editor({ start: opened, storeKey }: { start: Draft; storeKey: string }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { draft, setDraft, start, drop } = useDraft(opened, storeKey);
  const { view } = useSearch({ from: "/shell/new" });
  const expert = view === "all";
  const [query, setQuery] = useState("");
  const [submitting, setSubmitting] = useState(false);
  const stages = useQuery(stagesQuery);
  const datasets = useQuery(datasetsQuery);
  const first = useMemo(() => firstOpen(start, stages.data ?? []), [start, stages.data]);
  const [folds, setFolds] = useState<ReadonlyMap<string, boolean>>(NO_FOLDS);
  const fold = useCallback(
    (name: string, open: boolean) => setFolds((now) => (now.get(name) === open ? now : new Map(now).set(name, open))),
    [],
  );
  const [touched, setTouched] = useState<ReadonlySet<string>>(UNTOUCHED);

  const asked = useMemo(() => askedOf(draft), [draft]);
  const settled = useSettled(asked);
  const plan = useQuery(planQuery(settled));
  // The last plan stays in its place, dimmed, while the draft has a fault.
  const last = useRef<Plan | undefined>(undefined);
  if (plan.data) last.current = plan.data;
  const stale = asked !== settled || plan.isFetching;
  const error = plan.error;
  const found = useMemo(() => (error ? faultsOf(error) : NO_FAULTS), [error]);
  const filter = useDeferredValue(query);
  const names = Object.keys(draft.steps).join();
  const faults = useMemo(() => {
    const own = found.filter((fault) => names.split(",").includes(fault.field.split(".")[0] ?? ""));
    return sorted(
      own.map((one) => (one.isMissing ? { ...one, message: t("form.missing") } : one)),
      touched,
    );
  }, [found, names, touched, t]);
  const isOpen = (name: string) =>
    filter !== "" ||
    (folds.get(name) ?? (first.has(name) || hasFault(faults.wrong, name) || hasFault(faults.open, name)));
  const toFill = faults.wrong.length === 0 && faults.open.length > 0;
  const before = draft.origin.values;
  const beforeSteps = before && isValues(before.steps) ? before.steps : undefined;
  const isChanged = !isSameDraft(draft, start);
  const queued = queuedOf(draft.typed);

  const byName = useMemo(() => new Map((stages.data ?? []).map((one) => [one.name, one])), [stages.data]);
  const groups = useMemo(
    () => ({ steps: t("compose.groupSteps"), datasets: t("compose.groupDatasets"), models: t("compose.groupModels") }),
    [t],
  );
  const known = useMemo(
    () => ({
      datasets: (datasets.data?.datasets ?? []).map((one) => ({
        ref: one.ref,
        label: [
          one.kind,
          one.rows !== null && one.rows !== undefined && t("data.rowCount", { count: one.rows, rows: count(one.rows) }),
          one.bytes && bytes(one.bytes),
        ]
          .filter(Boolean)
          .join(" · "),
      })),
      models: [{ ref: "builtin:pocket", label: t("compose.pocket") }],
    }),
    [datasets.data, t],
  );
  const shape = JSON.stringify(Object.entries(draft.steps).map(([name, step]) => [name, stageOf(step)]));
  // Suggestions depend on the steps that there are, not on their settings.
  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` stands for the steps
  const suggest = useMemo(() => {
    const made = new Map<string, ReturnType<typeof suggestionsFor>>();
    for (const [name, step] of Object.entries(draft.steps)) {
      const stage = byName.get(stageOf(step));
      if (stage) made.set(name, suggestionsFor(draft, name, stage, byName, known, groups));
    }
    return made;
  }, [shape, byName, known, groups]);
  const none = useCallback(() => null, []);

  const steps = useRef(draft.steps);
  steps.current = draft.steps;
  const change = useCallback(
    (name: string, step: Values) => {
      const paths = differences(steps.current[name], step).map((path) => `${name}.${path}`);
      setTouched((now) => (paths.every((path) => now.has(path)) ? now : new Set([...now, ...paths])));
      fold(name, true);
      setDraft((now) => ({ ...now, steps: { ...now.steps, [name]: step } }));
    },
    [setDraft, fold],
  );
  const force = useCallback(
    (name: string) =>
      setDraft((now) => ({
        ...now,
        force: now.force.includes(name) ? now.force.filter((one) => one !== name) : [...now.force, name],
      })),
    [setDraft],
  );
  const remove = useCallback(
    (name: string) =>
      setDraft((now) => ({
        ...now,
        steps: Object.fromEntries(Object.entries(now.steps).filter(([one]) => one !== name)),
        force: now.force.filter((one) => one !== name),
      })),
    [setDraft],
  );
  const add = (stage: string) => {
    const name = freeName(draft.steps, stage);
    setDraft({ ...draft, steps: { ...draft.steps, [name]: { stage } } });
    fold(name, true);
  };
  /** All that is to be filled in is marked, and the first of it has the focus. */
  const mark = () => {
    setTouched(new Set([...touched, ...faults.open.map((one) => one.field)]));
    setFolds(NO_FOLDS);
    setTimeout(() => document.querySelector<HTMLElement>("#main [aria-invalid=true]")?.focus());
  };
  const run = async () => {
    if (toFill) return mark();
    if (!queued) return;
    setSubmitting(true);
    try {
      const made = await submit(asked, queued);
      drop();
      const [recipe = "", number = ""] = made.run.split("/");
      await navigate({
        to: "/runs/$recipe/$number",
        params: { recipe, number },
        search: { step: undefined, tab: undefined },
      });
    } catch (problem) {
      warn(t("compose.notSubmitted"), problem);
    } finally {
      setSubmitting(false);
    }
  };

  const isStage = draft.origin.type === "stage" && Object.keys(draft.steps).length === 1;
  const title =
    draft.origin.type === "run"
      ? t("compose.forkOf", { run: draft.origin.name })
      : isStage
        ? draft.origin.name
        : draft.name;
  return (
    <Page
      title={title}
      crumbs={[{ label: t("nav.new"), to: "/new" }]}
      actions={
        <Flex gap={2}>
          {isChanged && (
            <Button size="sm" variant="ghost" color="fg.muted" onClick={() => setDraft(start)}>
              <Undo2 aria-hidden /> {t("compose.undoAll")}
            </Button>
          )}
        </Flex>
      }
    >
      <Grid
        templateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(0, 1fr) 380px" }}
        gap={{ base: 5, lg: 8 }}
        alignItems="start"
      >
        <Flex direction="column" gap={3} minW={0}>
          <Flex gap={2} wrap="wrap" align="center">
            <Box position="relative" flex="1 1 200px">
              <Box position="absolute" left={3} top="9px" color="fg.subtle" pointerEvents="none">
                <Search size={14} aria-hidden />
              </Box>
              <Input
                size="sm"
                ps={8}
                type="search"
                value={query}
                placeholder={t("compose.findSetting")}
                aria-label={t("compose.findSetting")}
                onChange={(event) => setQuery(event.target.value)}
              />
            </Box>
            <Segments
              label={t("compose.view")}
              options={[
                { value: "basic", label: t("compose.basic") },
                { value: "expert", label: t("compose.expert") },
              ]}
              value={expert ? "expert" : "basic"}
              onChange={(value) =>
                void navigate({
                  to: "/new",
                  search: (now) => ({ ...now, view: value === "expert" ? "all" : undefined }),
                  replace: true,
                  resetScroll: false,
                })
              }
            />
          </Flex>
          {!isStage && (
            <Field.Root orientation="horizontal" justifyContent="flex-start" gap={3} px={1}>
              <Field.Label color="fg.muted" flex="none">
                {t("compose.name")}
              </Field.Label>
              <Input
                size="sm"
                maxW="280px"
                value={draft.name}
                spellCheck={false}
                onChange={(event) => setDraft({ ...draft, name: event.target.value })}
              />
            </Field.Root>
          )}
          {Object.entries(draft.steps).map(([name, step]) => (
            <StepCard
              key={name}
              name={name}
              step={step}
              summary={summaryOf(byName.get(stageOf(step)))}
              before={beforeSteps && isValues(beforeSteps[name]) ? beforeSteps[name] : undefined}
              planned={error ? undefined : plan.data?.steps.find((one) => one.step === name)}
              faults={faults.wrong}
              expert={expert}
              query={filter}
              open={isOpen(name)}
              alone={Object.keys(draft.steps).length === 1}
              forced={draft.force.includes(name)}
              suggest={suggest.get(name) ?? none}
              onFold={fold}
              onChange={change}
              onForce={force}
              onRemove={remove}
            />
          ))}
          <AddStep stages={stages.data ?? []} onAdd={add} />
        </Flex>
        <Box
          position={{ lg: "sticky" }}
          top={6}
          minW={0}
          maxH={{ lg: "calc(100dvh - 48px)" }}
          overflowY={{ lg: "auto" }}
          mx={-1}
          px={1}
          pb={{ lg: 1 }}
        >
          <Preview
            asked={settled}
            plan={plan.data ?? last.current}
            error={error}
            stale={stale}
            faults={faults.wrong.length}
            open={faults.open.map((one) => fieldName(one.field.split(".").at(-1) ?? ""))}
            typed={draft.typed}
            onTyped={(typed) => setDraft({ ...draft, typed })}
            submitting={submitting}
            onSubmit={() => void run()}
          />
        </Box>
      </Grid>
      <RunBar submitting={submitting} disabled={(error !== null && !toFill) || !queued} onRun={() => void run()} />
    </Page>
  );
}

const summaryOf = (stage: Stage | undefined) => (stage ? stageSummary(stage) : "");

function AddStep({ stages, onAdd }: { stages: readonly Stage[]; onAdd: (stage: string) => void }) {
  const { t } = useTranslation();
  return (
    <Box>
      <Menu.Root>
        <Menu.Trigger asChild>
          <Button size="sm" variant="outline">
            <Plus aria-hidden /> {t("compose.addStep")}
          </Button>
        </Menu.Trigger>
        <Portal>
          <Menu.Positioner>
            <Menu.Content maxH="320px" overflowY="auto" maxW="min(92vw, 420px)">
              {stages.map((one) => (
                <Menu.Item key={one.name} value={one.name} onSelect={() => onAdd(one.name)}>
                  <Box minW={0}>
                    <Box fontWeight="500">{one.name}</Box>
                    <Box textStyle="caption" color="fg.muted" truncate>
                      <Rich>{stageSummary(one)}</Rich>
                    </Box>
                  </Box>
                </Menu.Item>
              ))}
            </Menu.Content>
          </Menu.Positioner>
        </Portal>
      </Menu.Root>
    </Box>
  );
}
