// The log of a step: search, levels, follow. A hundred thousand lines stay smooth: only those in sight are drawn.
import { Box, Button, Flex, IconButton, Input, InputGroup, NativeSelect, Text } from "@chakra-ui/react";
import { useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowDownToLine, ArrowUp, Search, X } from "lucide-react";
import { type KeyboardEvent, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { bytes, count, EmptyState, ErrorCard, Lines, Section } from "@/ui";
import { Segments } from "@/ui/segments";
import { filePath } from "../api";
import { filtered, LEVELS, type LogLine, marked } from "../logs/lines";
import { useLog } from "../logs/useLog";
import type { RunSearch } from "../search";
import { notStarted, stateOf } from "../useRun";
import type { TabProps } from ".";

const ROW = 20;
const LONGEST = 4_000;
const FILES = ["run.log", "console.log"] as const;

export default function Logs({ name, detail, step, live, search }: TabProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const isGrowing = stateOf(step, live) === "running";
  const file = FILES[search.log === "console" ? 1 : 0];
  const least = LEVELS.find((one) => one === search.level) ?? "debug";
  const [words, setWords] = useState(search.find ?? "");
  const [follows, setFollows] = useState(isGrowing || least === "error"); // an error is told at the end of its traceback
  const [found, setFound] = useState(0);
  const stepName = useMemo(() => ({ ...name, step: step.step }), [name, step.step]);
  const log = useLog(stepName, file, isGrowing);
  const wanted = useDeferredValue(words.trim());
  const shown = useMemo(() => filtered(log.lines, { words: "", least }), [log.lines, least]);
  const hits = useMemo(() => (wanted ? filtered(log.lines, { words: wanted, least }) : []), [log.lines, wanted, least]);
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW,
    overscan: 30,
  });

  useEffect(() => {
    if (follows && shown.length) rows.scrollToIndex(shown.length - 1, { align: "end" });
  }, [follows, shown.length, rows]);

  const hit = hits.length ? hits[Math.min(found, hits.length - 1)] : undefined;
  // Brought into sight once for each search and each step through its hits, not with each line that is written.
  const looked = `${file} ${least} ${found} ${wanted}`;
  const seen = useRef("");
  useEffect(() => {
    if (hit === undefined || seen.current === looked) return;
    seen.current = looked;
    setFollows(false);
    const at = shown.indexOf(hit);
    if (at >= 0) rows.scrollToIndex(at, { align: "center" });
  }, [hit, shown, rows, looked]);

  const next = (by: number) =>
    hits.length && setFound((old) => (Math.min(old, hits.length - 1) + by + hits.length) % hits.length);
  const keep = (change: Pick<RunSearch, "find" | "level" | "log">) => {
    const next = { find: search.find, level: search.level, log: search.log, ...change };
    const isSame = next.find === search.find && next.level === search.level && next.log === search.log;
    if (isSame) return;
    void navigate({
      to: "/runs/$recipe/$number",
      params: name,
      search: { step: step.step, tab: "logs", ...next },
      replace: true,
      resetScroll: false,
    });
  };
  const clear = () => {
    setWords("");
    setFound(0);
    keep({ find: undefined });
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter") next(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") clear();
  };

  if (!step.shown)
    return (
      <EmptyState icon={Search} title={t("run.notStarted")}>
        {t(notStarted(detail, step.state))}
      </EmptyState>
    );
  return (
    <Section flush>
      <Flex gap={2} px={3} py={2.5} wrap="wrap" align="center" borderBottomWidth="1px" borderColor="border.muted">
        <InputGroup flex="1 1 220px" startElement={<Search size={14} />}>
          <Input
            size="xs"
            value={words}
            onChange={(event) => {
              setWords(event.target.value);
              setFound(0);
            }}
            onBlur={() => keep({ find: words.trim() || undefined })}
            onKeyDown={press}
            placeholder={t("run.searchLog")}
            aria-label={t("run.searchLog")}
          />
        </InputGroup>
        <Flex
          align="center"
          gap={1}
          visibility={wanted ? "visible" : "hidden"}
          textStyle="caption"
          color="fg.muted"
          fontVariantNumeric="tabular-nums"
        >
          <Text minW="64px" textAlign="end" aria-live="polite">
            {hits.length ? `${count(Math.min(found, hits.length - 1) + 1)} / ${count(hits.length)}` : t("run.noHits")}
          </Text>
          <IconButton
            size="2xs"
            variant="ghost"
            aria-label={t("run.previousHit")}
            disabled={!hits.length}
            onClick={() => next(-1)}
          >
            <ArrowUp />
          </IconButton>
          <IconButton
            size="2xs"
            variant="ghost"
            aria-label={t("run.nextHit")}
            disabled={!hits.length}
            onClick={() => next(1)}
          >
            <ArrowDown />
          </IconButton>
          <IconButton size="2xs" variant="ghost" aria-label={t("run.clear")} onClick={clear}>
            <X />
          </IconButton>
        </Flex>
        <Flex gap={2} align="center" ms="auto">
          <NativeSelect.Root size="xs" width="auto">
            <NativeSelect.Field
              aria-label={t("run.level")}
              value={least}
              onChange={(event) => keep({ level: event.target.value === LEVELS[0] ? undefined : event.target.value })}
            >
              {LEVELS.map((level) => (
                <option key={level} value={level}>
                  {t(`run.levels.${level}`)}
                </option>
              ))}
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
          <Segments
            label={t("run.logFile")}
            value={file}
            onChange={(value) => keep({ log: value === FILES[0] ? undefined : "console" })}
            options={[
              { value: "run.log", label: t("run.fullLog") },
              { value: "console.log", label: t("run.console") },
            ]}
          />
          <IconButton
            size="xs"
            variant={follows ? "subtle" : "outline"}
            aria-pressed={follows}
            aria-label={t("run.follow")}
            title={t("run.follow")}
            onClick={() => setFollows(!follows)}
          >
            <ArrowDownToLine size={14} />
          </IconButton>
        </Flex>
      </Flex>
      {log.error !== null && (
        <Box p={4}>
          <ErrorCard error={log.error} onRetry={log.again} />
        </Box>
      )}
      {log.skipped > 0 && (
        <Flex
          align="center"
          justify="center"
          gap={2}
          h="36px"
          textStyle="caption"
          color="fg.muted"
          borderBottomWidth="1px"
          borderColor="border.muted"
        >
          {t("run.notRead", { size: bytes(log.skipped) })}
          <Button size="2xs" variant="outline" onClick={log.readAll}>
            {t("run.readAll")}
          </Button>
        </Flex>
      )}
      <Box
        ref={frame}
        h={{ base: "60dvh", md: "max(420px, calc(100dvh - 440px))" }}
        overflow="auto"
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={t("run.tab.logs")}
        bg="bg.subtle"
        onWheel={(event) => event.deltaY < 0 && setFollows(false)}
        onKeyDown={(event) => {
          if (["ArrowUp", "PageUp", "Home"].includes(event.key)) setFollows(false);
          if (event.key === "End") setFollows(isGrowing);
        }}
        textStyle="code"
        css={LINES}
        py={1}
      >
        {log.isLoading && (
          <Box p={5}>
            <Lines count={10} />
          </Box>
        )}
        {!log.isLoading && shown.length === 0 && !log.error && (
          <Box textStyle="body" fontFamily="body">
            <EmptyState icon={Search} title={t(log.lines.length ? "run.noLines" : "run.emptyLog")} compact>
              {log.lines.length ? t("run.noLinesHint") : ""}
            </EmptyState>
          </Box>
        )}
        <Box position="relative" minW="max-content" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((seat) => {
            const line = log.lines[shown[seat.index] as number];
            return line ? (
              <Line key={seat.index} line={line} words={wanted} start={seat.start} isHit={hit === line.number - 1} />
            ) : null;
          })}
        </Box>
      </Box>
      <Flex
        align="center"
        gap={3}
        px={4}
        h="36px"
        borderTopWidth="1px"
        borderColor="border.muted"
        textStyle="caption"
        color="fg.muted"
        fontVariantNumeric="tabular-nums"
      >
        <span>
          {shown.length === log.lines.length
            ? t("run.lines", { count: log.lines.length })
            : t("run.linesOf", { shown: count(shown.length), count: log.lines.length })}
        </span>
        <Button asChild size="2xs" variant="ghost" ms="auto" color="fg.muted">
          <a href={`${filePath(stepName, file)}?download=true`} download>
            {t("run.download")}
          </a>
        </Button>
      </Flex>
    </Section>
  );
}

interface LineProps {
  line: LogLine;
  words: string;
  start: number;
  isHit: boolean;
}

/** Plain elements: a line is drawn hundreds of times while one scrolls. */
function Line({ line, words, start, isHit }: LineProps) {
  const { t } = useTranslation();
  const text = line.text.length > LONGEST ? line.text.slice(0, LONGEST) : line.text;
  const parts = marked(text, words).map((part, at) => ({ part, key: String(at), isWord: at % 2 === 1 }));
  return (
    <div
      className="line"
      data-level={line.level}
      data-hit={isHit || undefined}
      style={{ transform: `translateY(${start}px)` }}
    >
      <span className="time" title={line.isServers ? t("run.serverTime", { time: line.moment }) : line.moment}>
        {line.time}
      </span>
      <span>
        {parts.map(({ part, key, isWord }) => (isWord ? <mark key={key}>{part}</mark> : part))}
        {line.text.length > LONGEST && (
          <span className="time"> {t("run.cutLine", { count: line.text.length - LONGEST })}</span>
        )}
      </span>
    </div>
  );
}

const LINES = {
  "& .line": {
    position: "absolute",
    top: 0,
    left: 0,
    display: "flex",
    gap: "16px",
    minWidth: "100%",
    height: `${ROW}px`,
    lineHeight: `${ROW}px`,
    paddingInline: "16px",
    whiteSpace: "pre",
    color: "fg",
  },
  "& .time": { color: "fg.subtle", minWidth: "12ch", flexShrink: 0, userSelect: "none" },
  "& [data-level=debug]": { color: "fg.muted" },
  "& [data-level=warning]": { color: "warning.fg" },
  "& [data-level=error]": { color: "danger.fg", background: "danger.subtle" },
  "& [data-hit]": { background: "accent.muted" },
  "& mark": { background: "warning.muted", color: "fg" },
} as const;
