// The screen *Merge*: several adapters of one base with their weights, and what that would do.
import { Box, Button, Flex, Grid, IconButton, Input, NativeSelect } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Combine, Plus, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { RunBar } from "@/features/compose/bar";
import { NOTHING_TYPED } from "@/features/compose/draft";
import { Preview } from "@/features/compose/preview";
import { planQuery, stageQuery, submit } from "@/features/compose/queries";
import { useSettled } from "@/features/compose/settled";
import { queuedOf } from "@/features/compose/typed";
import type { Json, Values } from "@/features/form";
import { useKnownModels } from "@/features/models/known";
import { MergePreview } from "@/features/models/mergePreview";
import { emptyPart, type Part, partsOfSearch, searchOfParts } from "@/features/models/mergeSearch";
import { PickModel, UnknownModels } from "@/features/models/pick";
import { helpText } from "@/i18n/help";
import { EmptyState, ErrorCard, Page, Rich, Section, Segments, warn } from "@/ui";

export default function Merge() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const known = useKnownModels().filter((one) => one.kind === "adapter");
  const stage = useQuery(stageQuery("combine"));
  const search = useSearch({ from: "/shell/merge" });
  const [parts, setParts] = useState<Part[]>(() => partsOfSearch(search));
  const [method, setMethod] = useState(search.method ?? "linear");
  const [into, setInto] = useState<string>(search.into ?? "adapter");
  useEffect(() => {
    void navigate({ to: "/merge", search: searchOfParts(parts, method, into), replace: true, resetScroll: false });
  }, [navigate, parts, method, into]);
  const [typed, setTyped] = useState(NOTHING_TYPED);
  const queued = queuedOf(typed);
  const [submitting, setSubmitting] = useState(false);
  const values = useMemo<Values>(
    () => ({
      adapters: parts.map(({ adapter, weight }) => ({
        adapter,
        weight: weight.trim() !== "" && Number.isFinite(Number(weight)) ? Number(weight) : weight,
      })) as Json,
      method,
      ...(into === "base" && { into }),
    }),
    [parts, method, into],
  );
  const settled = useSettled(values);
  const isReady = [values, settled].every((one) => (one.adapters as unknown as Part[]).every((part) => part.adapter));
  const asked = useMemo(() => ({ stage: "combine", values: settled }), [settled]);
  const plan = useQuery(planQuery(isReady ? asked : null));
  const methods = (stage.data?.json_schema.properties?.method?.enum ?? ["linear"]).map(String);
  const help = stage.data?.json_schema.properties?.method?.description ?? "";
  const sizes = parts.map((one) => Math.abs(Number(one.weight)) || 0);
  const sum = sizes.reduce((total, one) => total + one, 0) || 1;
  const change = (at: number, next: Partial<Part>) =>
    setParts(parts.map((one, seat) => (seat === at ? { ...one, ...next } : one)));
  const run = async () => {
    if (!queued) return;
    setSubmitting(true);
    try {
      const made = await submit({ stage: "combine", values }, queued);
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
  return (
    <Page title={t("nav.merge")} description={t("models.mergeHint")}>
      {stage.error && !stage.data ? (
        <ErrorCard error={stage.error} onRetry={() => void stage.refetch()} />
      ) : (
        <UnknownModels />
      )}
      <Grid
        templateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(0, 1fr) 380px" }}
        gap={{ base: 5, lg: 8 }}
        alignItems="start"
      >
        <Flex direction="column" gap={5} minW={0}>
          <Section title={t("models.parts")} description={t("models.partsHint")}>
            <Flex direction="column" gap={3}>
              {parts.map((part, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: parts have no name but their place
                <Box key={at}>
                  <Flex gap={2} align="center">
                    <PickModel
                      label={t("models.adapter", { number: at + 1 })}
                      value={part.adapter}
                      onChange={(adapter) => change(at, { adapter })}
                      known={known}
                      placeholder={t("models.pickAdapter")}
                    />
                    <Input
                      size="sm"
                      w="80px"
                      inputMode="decimal"
                      fontVariantNumeric="tabular-nums"
                      aria-label={t("models.weightOf", { number: at + 1 })}
                      value={part.weight}
                      onChange={(event) => change(at, { weight: event.target.value })}
                    />
                    <IconButton
                      size="sm"
                      variant="ghost"
                      color="fg.muted"
                      disabled={parts.length <= 2}
                      aria-label={t("form.remove", { number: at + 1 })}
                      onClick={() => setParts(parts.filter((_, seat) => seat !== at))}
                    >
                      <X />
                    </IconButton>
                  </Flex>
                  <Box h="4px" mt={2} borderRadius="full" bg="bg.muted" overflow="hidden">
                    <Box
                      h="full"
                      borderRadius="full"
                      bg={Number(part.weight) < 0 ? "danger.solid" : "series.1"}
                      transition="width 160ms"
                      style={{ width: `${((sizes[at] ?? 0) / sum) * 100}%` }}
                    />
                  </Box>
                </Box>
              ))}
              <Box>
                <Button size="sm" variant="outline" onClick={() => setParts([...parts, emptyPart()])}>
                  <Plus aria-hidden /> {t("form.add")}
                </Button>
              </Box>
            </Flex>
          </Section>
          <Section title={t("models.method")} description={<Rich>{helpText(help)}</Rich>}>
            <Flex gap={3} wrap="wrap">
              <NativeSelect.Root size="sm" w="240px">
                <NativeSelect.Field
                  aria-label={t("models.method")}
                  value={method}
                  onChange={(event) => setMethod(event.target.value)}
                >
                  {methods.map((one) => (
                    <option key={one} value={one}>
                      {one}
                    </option>
                  ))}
                </NativeSelect.Field>
                <NativeSelect.Indicator />
              </NativeSelect.Root>
              <Segments
                label={t("models.into")}
                options={[
                  { value: "adapter", label: t("models.intoAdapter") },
                  { value: "base", label: t("models.intoBase") },
                ]}
                value={into}
                onChange={setInto}
              />
            </Flex>
          </Section>
          {isReady && <MergePreview values={settled} />}
        </Flex>
        {isReady ? (
          <Flex direction="column" gap={4} minW={0}>
            <Preview
              asked={asked}
              plan={plan.data}
              error={plan.error}
              stale={values !== settled || plan.isFetching}
              faults={0}
              typed={typed}
              onTyped={setTyped}
              submitting={submitting}
              onSubmit={() => void run()}
            />
          </Flex>
        ) : (
          <Section>
            <EmptyState compact icon={Combine} title={t("models.preview")}>
              {t("models.chooseTwo")}
            </EmptyState>
          </Section>
        )}
      </Grid>
      {isReady && <RunBar submitting={submitting} disabled={plan.error !== null || !queued} onRun={() => void run()} />}
    </Page>
  );
}
