// The finished card: what a run came to, its answers before and after, what it made, and what can be done with that.

import { Box, Button, Link as ChakraLink, Flex, Grid, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Combine, MessagesSquare, PackageOpen, Scale, ShieldCheck } from "lucide-react";
import { useTranslation } from "react-i18next";
import { DeltaOf, headlines } from "@/features/runs/measures";
import { measureName } from "@/i18n/names";
import { Copy, count, duration, Lines, measure, Section } from "@/ui";
import { useVerdict } from "@/ui/verdict";
import { answersQuery, changedIn } from "./answers";
import type { RunDetail, RunName, RunStep } from "./api";
import { BeforeAfter } from "./beforeAfter";

const SHOWN = 2;
/** What can be asked, exported or served; a dataset has a screen of its own. */
const KINDS: ReadonlySet<string> = new Set(["adapter", "model", "gguf", "quantized", "export"]);
const ANSWERING: ReadonlySet<string> = new Set(["generate", "evaluate"]);

export function Result({ name, detail }: { name: RunName; detail: RunDetail }) {
  const steps = detail.steps.filter((one) => one.shown !== null);
  const made = steps.filter((one) => KINDS.has(one.shown?.kind ?? ""));
  const compared = steps.findLast(
    (one) =>
      ANSWERING.has(one.stage ?? "") &&
      (one.shown?.metrics.exact_match_delta !== undefined || one.shown?.settings.compare_with !== undefined),
  );
  return (
    <Flex direction="column" gap={{ base: 5, md: 6 }}>
      <Figures detail={detail} />
      {compared && <Changed name={name} step={compared} />}
      {made.length > 0 && <Made name={name} made={made} detail={detail} />}
    </Flex>
  );
}

function Figures({ detail }: { detail: RunDetail }) {
  const { t } = useTranslation();
  const verdictOf = useVerdict();
  const found = headlines(
    detail.steps.flatMap((one) =>
      one.shown ? [{ step: one.step, stage: one.stage, metrics: one.shown.metrics }] : [],
    ),
  );
  return (
    <Grid
      as="dl"
      m={0}
      templateColumns={{ base: "repeat(2, minmax(0, 1fr))", md: "repeat(auto-fit, minmax(180px, 1fr))" }}
      borderWidth="1px"
      borderColor="border"
      borderRadius="l3"
      bg="bg.panel"
      overflow="hidden"
    >
      {found.map((one) => (
        <Flex
          key={`${one.step} ${one.name}`}
          direction="column"
          boxShadow="1px 1px 0 0 {colors.border.muted}"
          px={5}
          py={4}
          minW={0}
        >
          <Text as="dt" textStyle="caption" color="fg.muted" truncate>
            {measureName(one.name)}
          </Text>
          <Flex as="dd" m={0} align="baseline" gap={2} wrap="wrap">
            <Text textStyle="figure">{measure(one.value)}</Text>
            <Text as="span" textStyle="small" fontWeight="550">
              <DeltaOf of={one} />
            </Text>
          </Flex>
          <Text as="dd" m={0} textStyle="caption" color="fg.muted" truncate>
            <ChakraLink asChild color="inherit">
              <Link
                to="/runs/$recipe/$number"
                params={{ recipe: detail.recipe, number: String(detail.number) }}
                search={{ step: one.step }}
                resetScroll={false}
              >
                {one.step}
              </Link>
            </ChakraLink>
            {one.verdict && ` · ${verdictOf(one.verdict)}`}
          </Text>
        </Flex>
      ))}
      <Flex direction="column" px={5} py={4} minW={0} boxShadow="1px 1px 0 0 {colors.border.muted}">
        <Text as="dt" textStyle="caption" color="fg.muted">
          {t("runs.time")}
        </Text>
        <Text as="dd" m={0} textStyle="figure">
          {detail.seconds === null ? "–" : duration(detail.seconds)}
        </Text>
        <Text as="dd" m={0} textStyle="caption" color="fg.muted">
          {t("run.stepsDone", { done: detail.steps.length, count: detail.steps.length })}
        </Text>
      </Flex>
    </Grid>
  );
}

/** Answers that the run has changed. */
function Changed({ name, step }: { name: RunName; step: RunStep }) {
  const { t } = useTranslation();
  const { data, error } = useQuery({ ...answersQuery({ ...name, step: step.step }), retry: false });
  const changed = data ? changedIn(data.rows, SHOWN) : [];
  if (error || (data && changed.length === 0)) return null;
  return (
    <Section
      title={t("run.changed")}
      flush
      actions={
        <Button asChild size="xs" variant="ghost" color="fg.muted">
          <Link
            to="/runs/$recipe/$number"
            params={name}
            search={{ step: step.step, tab: "samples" }}
            resetScroll={false}
          >
            {t("run.allAnswers")}
          </Link>
        </Button>
      }
    >
      {!data && (
        <Box p={5} minH="220px">
          <Lines count={6} />
        </Box>
      )}
      {changed.map((answers, at) => (
        <Box
          // biome-ignore lint/suspicious/noArrayIndexKey: the same prompt may be there twice
          key={`${at} ${JSON.stringify(answers.prompt)}`}
          px={{ base: 4, md: 5 }}
          py={5}
          borderTopWidth={at ? "1px" : 0}
          borderColor="border.muted"
        >
          <BeforeAfter answers={answers} />
        </Box>
      ))}
    </Section>
  );
}

/** What steps made, the last first, and what can be done with it. */
function Made({ name, made, detail }: { name: RunName; made: readonly RunStep[]; detail: RunDetail }) {
  const { t } = useTranslation();
  const refOf = (step: RunStep) => {
    const [recipe = name.recipe, number = name.number, own = step.step] = step.run.split("/");
    return `${recipe}.${own}@${number}`;
  };
  const baseOf = (step: RunStep) => {
    const ref = step.shown?.inputs.base;
    if (!ref?.startsWith("step:")) return ref;
    const source = detail.steps.find((one) => one.step === ref.slice(5));
    return source && refOf(source);
  };
  return (
    <Section title={t("run.made")} flush>
      {[...made].reverse().map((step, at) => {
        const ref = refOf(step);
        const base = baseOf(step);
        const kind = step.shown?.kind ?? "";
        const isModel = kind === "model" || kind === "adapter";
        return (
          <Flex
            key={step.step}
            align="center"
            gap={3}
            rowGap={2}
            wrap="wrap"
            px={{ base: 4, md: 5 }}
            py={3}
            borderTopWidth={at ? "1px" : 0}
            borderColor="border.muted"
          >
            <Box flex="1 1 200px" minW={0}>
              <Flex align="center" gap={1} minW={0}>
                <Text fontWeight="500" truncate>
                  {ref}
                </Text>
                <Copy value={ref} />
              </Flex>
              <Flex textStyle="caption" color="fg.muted" gap={1.5} align="center">
                {[kind, step.stage].filter((one, seat, all) => one && all.indexOf(one) === seat).join(" · ")}
                {step.shown?.certificate && (
                  <Flex as="span" gap={1} align="center" color="success.fg">
                    <ShieldCheck size={12} aria-hidden />
                    {t("run.certificate")}
                  </Flex>
                )}
                {typeof step.shown?.metrics.steps === "number" && (
                  <span>· {t("run.trained", { steps: count(step.shown.metrics.steps) })}</span>
                )}
              </Flex>
            </Box>
            <Flex gap={2} wrap="wrap">
              {isModel && (
                <Button asChild size="xs" variant="outline">
                  <Link to="/playground" search={{ models: base && kind === "adapter" ? `${base},${ref}` : ref }}>
                    <MessagesSquare aria-hidden />
                    {t("run.chat")}
                  </Link>
                </Button>
              )}
              {isModel && (
                <Button asChild size="xs" variant="outline">
                  <Link to="/new" search={{ stage: "evaluate", model: ref }}>
                    <Scale aria-hidden />
                    {t("nav.evaluate")}
                  </Link>
                </Button>
              )}
              {kind === "adapter" && (
                <Button asChild size="xs" variant="outline">
                  <Link to="/merge" search={{ adapters: [ref, ""] }}>
                    <Combine aria-hidden />
                    {t("run.mergeWith")}
                  </Link>
                </Button>
              )}
              {isModel && (
                <Button asChild size="xs" variant="outline">
                  <Link to="/new" search={{ stage: "gguf", model: ref }}>
                    <PackageOpen aria-hidden />
                    {t("nav.export")}
                  </Link>
                </Button>
              )}
              {!isModel && (
                <Button asChild size="xs" variant="outline">
                  <Link to="/export" search={{ ref }}>
                    <PackageOpen aria-hidden />
                    {t("run.open")}
                  </Link>
                </Button>
              )}
            </Flex>
          </Flex>
        );
      })}
    </Section>
  );
}
