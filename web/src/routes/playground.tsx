// The screen *Playground*: the same prompt to several models, side by side, with a vote that may be blind.
import { Box, Button, Field, Flex, Grid, IconButton, Input, Switch, Text, Textarea } from "@chakra-ui/react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Plus, SendHorizontal, Square, ThumbsUp, X } from "lucide-react";
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { send } from "@/api/call";
import { asProblem, type Problem } from "@/api/problem";
import { useKnownModels } from "@/features/models/known";
import { PickModel } from "@/features/models/pick";
import { ask, type Parameters, shuffled } from "@/features/playground/ask";
import { Copy, count, duration, ErrorCard, Page, tell, warn } from "@/ui";

const MOST = 4;

interface Answer {
  model: string;
  text: string;
  state: "waiting" | "loading" | "answering" | "done" | "failed";
  note: string;
  tokens: number | null;
  seconds: number | null;
}

interface Round {
  messages: { role: "system" | "user"; content: string }[];
  answers: Answer[];
  /** The places in the order in which they are shown. */
  order: number[];
  blind: boolean;
  voted: number | null;
}

export default function Playground() {
  const { t } = useTranslation();
  const known = useKnownModels();
  const search = useSearch({ from: "/shell/playground" });
  const navigate = useNavigate();
  const models = (search.models ?? "builtin:pocket").split(",");
  const setModels = (next: string[]) =>
    void navigate({ to: "/playground", search: { models: next.join(",") }, replace: true, resetScroll: false });
  const [system, setSystem] = useState("");
  const [prompt, setPrompt] = useState("");
  const [params, setParams] = useState<Parameters>({ max_tokens: 256, temperature: null, top_p: null });
  const [seed, setSeed] = useState<number | null>(null);
  const [blind, setBlind] = useState(false);
  const [round, setRound] = useState<Round | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const stopper = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => () => stopper.current?.abort(), []);

  const change = (model: string, next: (answer: Answer) => Partial<Answer>) =>
    setRound(
      (now) =>
        now && { ...now, answers: now.answers.map((one) => (one.model === model ? { ...one, ...next(one) } : one)) },
    );

  const start = async () => {
    const asked = [...new Set(models.map((one) => one.trim()).filter(Boolean))];
    if (!prompt.trim() || !asked.length || busy) return;
    const messages: Round["messages"] = [
      ...(system.trim() ? [{ role: "system" as const, content: system }] : []),
      { role: "user" as const, content: prompt },
    ];
    const control = new AbortController();
    stopper.current = control;
    setBusy(true);
    setProblem(null);
    setRound({
      messages,
      blind: blind && asked.length > 1,
      voted: null,
      order: blind ? shuffled(asked.length) : asked.map((_, at) => at),
      answers: asked.map((model) => ({ model, text: "", state: "waiting", note: "", tokens: null, seconds: null })),
    });
    try {
      await ask(
        { models: asked, messages, params, seed },
        (told) => {
          if (told.event === "loading") change(told.model, () => ({ state: "loading", note: told.text ?? "" }));
          if (told.event === "token")
            change(told.model, (one) => ({ state: "answering", text: one.text + (told.text ?? "") }));
          if (told.event === "done")
            change(told.model, (one) => ({
              state: "done",
              text: told.answer || one.text,
              tokens: told.tokens ?? null,
              seconds: told.seconds ?? null,
            }));
          if (told.event === "error")
            change(told.model, () => ({
              state: "failed",
              note: [told.what ?? told.detail ?? told.title, told.fix].filter(Boolean).join(" "),
            }));
        },
        control.signal,
      );
    } catch (error) {
      if (!control.signal.aborted) setProblem(asProblem(error));
    } finally {
      setBusy(false);
      setRound(
        (now) =>
          now && {
            ...now,
            answers: now.answers.map((one) =>
              ["done", "failed"].includes(one.state) ? one : { ...one, state: "done" },
            ),
          },
      );
    }
  };
  const vote = async (place: number) => {
    if (!round) return;
    try {
      await send("POST", "/api/v1/generate/votes", {
        messages: round.messages,
        answers: round.answers.map(({ model, text }) => ({ model, answer: text })),
        better: place,
      });
      setRound({ ...round, voted: place });
      tell(t("play.voted"), t("play.votedHint"));
    } catch (error) {
      warn(t("play.notVoted"), error);
    }
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
      event.preventDefault();
      void start();
    }
  };
  const number = (text: string) => (text.trim() === "" || !Number.isFinite(Number(text)) ? null : Number(text));
  const canVote =
    round !== null &&
    round.answers.filter((one) => one.state === "done" && one.text).length === round.answers.length &&
    round.answers.length > 1;
  return (
    <Page title={t("nav.playground")} description={t("play.hint")}>
      <Grid
        templateColumns={{ base: "minmax(0, 1fr)", lg: "320px minmax(0, 1fr)" }}
        gap={{ base: 5, lg: 8 }}
        alignItems="start"
      >
        <Flex
          as="form"
          direction="column"
          gap={4}
          position={{ lg: "sticky" }}
          top={6}
          onSubmit={(event: FormEvent) => {
            event.preventDefault();
            void start();
          }}
        >
          <Flex direction="column" gap={2}>
            <Text textStyle="small" fontWeight="500">
              {t("play.models")}
            </Text>
            {models.map((model, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a model is known by its place while it is typed
              <Flex key={at} gap={1}>
                <PickModel
                  label={t("play.model", { number: at + 1 })}
                  value={model}
                  known={known}
                  onChange={(ref) => setModels(models.map((one, seat) => (seat === at ? ref : one)))}
                />
                <IconButton
                  size="sm"
                  variant="ghost"
                  color="fg.muted"
                  disabled={models.length === 1}
                  aria-label={t("form.remove", { number: at + 1 })}
                  onClick={() => setModels(models.filter((_, seat) => seat !== at))}
                >
                  <X />
                </IconButton>
              </Flex>
            ))}
            <Box>
              <Button
                size="xs"
                variant="outline"
                disabled={models.length >= MOST}
                onClick={() => setModels([...models, ""])}
              >
                <Plus aria-hidden /> {t("play.addModel")}
              </Button>
            </Box>
          </Flex>
          <Field.Root>
            <Field.Label>{t("play.system")}</Field.Label>
            <Textarea
              size="sm"
              rows={2}
              autoresize
              value={system}
              placeholder={t("form.none")}
              onChange={(event) => setSystem(event.target.value)}
            />
          </Field.Root>
          <Field.Root>
            <Field.Label>{t("play.prompt")}</Field.Label>
            <Textarea
              rows={5}
              autoresize
              value={prompt}
              placeholder={t("play.promptHint")}
              onKeyDown={keys}
              onChange={(event) => setPrompt(event.target.value)}
            />
          </Field.Root>
          <Grid templateColumns="1fr 1fr" gap={3}>
            <Param
              label={t("play.maxTokens")}
              value="256"
              onChange={(text) => setParams({ ...params, max_tokens: Math.max(1, Math.trunc(number(text) ?? 256)) })}
            />
            <Param
              label={t("play.temperature")}
              onChange={(text) => setParams({ ...params, temperature: number(text) })}
            />
            <Param label="Top p" onChange={(text) => setParams({ ...params, top_p: number(text) })} />
            <Param
              label={t("play.seed")}
              onChange={(text) => setSeed(number(text) === null ? null : Math.trunc(number(text) ?? 0))}
            />
          </Grid>
          <Switch.Root checked={blind} onCheckedChange={(next) => setBlind(next.checked)} colorPalette="accent">
            <Switch.HiddenInput />
            <Switch.Control />
            <Switch.Label>{t("play.blind")}</Switch.Label>
          </Switch.Root>
          {busy ? (
            <Button variant="outline" onClick={() => stopper.current?.abort()}>
              <Square aria-hidden /> {t("play.stop")}
            </Button>
          ) : (
            <Button type="submit" colorPalette="accent" disabled={!prompt.trim() || !models.some((one) => one.trim())}>
              <SendHorizontal aria-hidden /> {t("play.ask")}
            </Button>
          )}
        </Flex>
        <Flex direction="column" gap={4} minW={0} minH={{ lg: "420px" }}>
          {problem && <ErrorCard error={problem} onRetry={() => void start()} />}
          {!round && !problem && (
            <Flex
              flex={1}
              align="center"
              justify="center"
              borderWidth="1px"
              borderStyle="dashed"
              borderRadius="l3"
              color="fg.muted"
              p={10}
              textAlign="center"
            >
              <Text maxW="44ch">{t("play.empty")}</Text>
            </Flex>
          )}
          {round && (
            <Grid
              templateColumns={{
                base: "minmax(0, 1fr)",
                md: `repeat(${Math.min(2, round.answers.length)}, minmax(0, 1fr))`,
              }}
              gap={4}
            >
              {round.order.map((place, seat) => {
                const answer = round.answers[place];
                if (!answer) return null;
                const hidden = round.blind && round.voted === null;
                return (
                  <AnswerCard
                    key={answer.model}
                    name={hidden ? t("play.letter", { letter: String.fromCharCode(65 + seat) }) : answer.model}
                    answer={answer}
                    hidden={hidden}
                    best={round.voted === place}
                    onVote={canVote && round.voted === null ? () => void vote(place) : undefined}
                  />
                );
              })}
            </Grid>
          )}
        </Flex>
      </Grid>
    </Page>
  );
}

function Param({ label, value, onChange }: { label: string; value?: string; onChange: (text: string) => void }) {
  const { t } = useTranslation();
  return (
    <Field.Root>
      <Field.Label textStyle="caption" color="fg.muted">
        {label}
      </Field.Label>
      <Input
        size="sm"
        inputMode="decimal"
        defaultValue={value}
        placeholder={t("play.ofModel")}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field.Root>
  );
}

interface AnswerCardProps {
  name: string;
  answer: Answer;
  hidden: boolean;
  best: boolean;
  onVote?: () => void;
}

function AnswerCard({ name, answer, hidden, best, onVote }: AnswerCardProps) {
  const { t } = useTranslation();
  const isOpen = answer.state === "waiting" || answer.state === "loading" || answer.state === "answering";
  return (
    <Flex
      as="section"
      aria-label={name}
      direction="column"
      borderWidth="1px"
      borderColor={best ? "success.solid" : "border"}
      borderRadius="l3"
      bg="bg.panel"
      minH="220px"
      minW={0}
    >
      <Flex align="center" gap={2} px={4} h="44px" borderBottomWidth="1px" borderColor="border.muted">
        <Text flex={1} truncate fontWeight="500" textStyle="small" fontFamily={hidden ? undefined : "mono"}>
          {name}
        </Text>
        {best && (
          <Box color="success.fg">
            <ThumbsUp size={14} aria-label={t("play.best")} />
          </Box>
        )}
        <Copy value={answer.text} />
      </Flex>
      <Box flex={1} px={4} py={3} whiteSpace="pre-wrap" overflowWrap="anywhere" aria-live="polite" aria-busy={isOpen}>
        {answer.text}
        {answer.state === "answering" && (
          <Box
            as="span"
            display="inline-block"
            w="7px"
            h="15px"
            ms="2px"
            verticalAlign="-2px"
            bg="accent.solid"
            animation="pulse"
            aria-hidden
          />
        )}
        {!answer.text && isOpen && (
          <Text color="fg.muted">
            {answer.state === "loading" ? answer.note || t("play.loading") : t("play.waiting")}
          </Text>
        )}
        {answer.state === "done" && !answer.text && <Text color="fg.muted">{t("play.nothing")}</Text>}
        {answer.state === "failed" && (
          <Text color="fg.error" role="alert">
            {answer.note}
          </Text>
        )}
      </Box>
      <Flex align="center" px={4} minH="44px" gap={3}>
        <Text flex={1} textStyle="caption" color="fg.muted" fontVariantNumeric="tabular-nums">
          {answer.tokens !== null && answer.seconds
            ? t("play.speed", {
                count: answer.tokens,
                tokens: count(answer.tokens),
                time: duration(answer.seconds),
                speed: count(answer.tokens / answer.seconds),
              })
            : ""}
        </Text>
        {onVote && (
          <Button size="xs" variant="outline" onClick={onVote}>
            <ThumbsUp aria-hidden /> {t("play.better")}
          </Button>
        )}
      </Flex>
    </Flex>
  );
}
