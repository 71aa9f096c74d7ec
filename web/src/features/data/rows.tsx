// The rows of a dataset: a list of which only what is in sight is fetched and drawn, and one row as a conversation.
import { Box, Button, Flex, Grid, Input, Skeleton, Text, Textarea } from "@chakra-ui/react";
import { useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Pencil, TriangleAlert } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { send } from "@/api/call";
import { Code, count, ErrorCard, Lines, Segments, tell, warn } from "@/ui";
import { Conversation, conversationOf, Tokens, TokensLegend } from "@/ui/chat";
import { type DataRow, PAGE, previewQuery, rowsQuery, wholeRowQuery } from "./queries";

const HEIGHT = 48;
const SETTLE = 90;

export interface RowBrowserProps {
  name: string;
  split: string | undefined;
  total: number;
  row: number;
  editable: boolean;
  onRow: (row: number) => void;
}

export function RowBrowser(props: RowBrowserProps) {
  return (
    <Grid
      templateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(260px, 360px) minmax(0, 1fr)" }}
      borderWidth="1px"
      borderColor="border"
      borderRadius="l3"
      bg="bg.panel"
      overflow="hidden"
      h={{ lg: "max(480px, calc(100dvh - 260px))" }}
    >
      <RowList {...props} />
      <Box
        minW={0}
        overflowY="auto"
        borderStartWidth={{ lg: "1px" }}
        borderTopWidth={{ base: "1px", lg: 0 }}
        borderColor="border"
      >
        <RowDetail key={`${props.split}/${props.row}`} {...props} />
      </Box>
    </Grid>
  );
}

/** A row in one line: the last words of its conversation, or its JSON. */
function lineOf(row: DataRow): string {
  if (!row.value) return row.bad?.text ?? "";
  const messages = conversationOf(row.value);
  const said = messages.find((one) => one.role === "user") ?? messages[0];
  return (said?.text || JSON.stringify(row.value)).replace(/\s+/g, " ").slice(0, 160);
}

function RowList({ name, split, total, row, onRow }: RowBrowserProps) {
  const { t } = useTranslation();
  const id = useId();
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: total,
    getScrollElement: () => frame.current,
    estimateSize: () => HEIGHT,
    overscan: 8,
    initialOffset: Math.max(0, row - 3) * HEIGHT,
  });
  const items = virtual.getVirtualItems();
  const first = Math.floor((items[0]?.index ?? 0) / PAGE);
  const last = Math.floor((items.at(-1)?.index ?? 0) / PAGE);
  // What is passed quickly is not fetched.
  const [pages, setPages] = useState<[number, number]>([first, last]);
  useEffect(() => {
    const timer = setTimeout(() => setPages([first, last]), SETTLE);
    return () => clearTimeout(timer);
  }, [first, last]);
  const wanted = Array.from({ length: Math.max(1, pages[1] - pages[0] + 1) }, (_, at) => pages[0] + at);
  const fetched = useQueries({ queries: wanted.map((page) => rowsQuery(name, split, page)) });
  const rowAt = (index: number) => fetched[Math.floor(index / PAGE) - pages[0]]?.data?.rows[index % PAGE];
  const failed = fetched.find((one) => one.error);

  const move = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: 10,
      PageUp: -10,
      Home: -total,
      End: total,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(total - 1, Math.max(0, row + step));
    onRow(next);
    virtual.scrollToIndex(next);
  };
  return (
    <Flex direction="column" minH={0}>
      {failed?.error && (
        <Box p={3}>
          <ErrorCard error={failed.error} onRetry={() => void failed.refetch()} />
        </Box>
      )}
      <Box
        ref={frame}
        role="listbox"
        aria-label={t("data.rows")}
        aria-activedescendant={`${id}-${row}`}
        tabIndex={0}
        flex={{ base: "none", lg: 1 }}
        h={{ base: "264px", lg: "auto" }}
        overflowY="auto"
        onKeyDown={move}
        _focusVisible={{ outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" }}
      >
        <Box position="relative" role="presentation" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const one = rowAt(item.index);
            const isChosen = item.index === row;
            return (
              <Flex
                key={item.index}
                id={`${id}-${item.index}`}
                role="option"
                aria-selected={isChosen}
                aria-setsize={total}
                aria-posinset={item.index + 1}
                position="absolute"
                top={0}
                left={0}
                w="full"
                align="center"
                gap={3}
                px={4}
                cursor="pointer"
                borderBottomWidth="1px"
                borderColor="border.muted"
                bg={isChosen ? "accent.subtle" : undefined}
                _hover={isChosen ? undefined : { bg: "bg.subtle" }}
                style={{ height: HEIGHT, transform: `translateY(${item.start}px)` }}
                onClick={() => onRow(item.index)}
              >
                <Text textStyle="caption" color="fg.muted" fontVariantNumeric="tabular-nums" minW="3ch" textAlign="end">
                  {count(item.index + 1)}
                </Text>
                {one ? (
                  <Text textStyle="small" truncate flex={1} color={one.bad ? "fg.error" : undefined}>
                    {lineOf(one) || "–"}
                  </Text>
                ) : (
                  <Skeleton h="10px" flex={1} borderRadius="l1" />
                )}
                {one?.bad && (
                  <Box color="fg.error" flexShrink={0}>
                    <TriangleAlert size={13} aria-label={t("data.bad")} />
                  </Box>
                )}
              </Flex>
            );
          })}
        </Box>
      </Box>
    </Flex>
  );
}

const VIEWS = ["chat", "tokens", "json"] as const;
type View = (typeof VIEWS)[number];
const VIEW_KEY = "burnish.rows.view";
const TOKENIZER_KEY = "burnish.rows.tokenizer";

function RowDetail({ name, split, row, editable, onRow }: RowBrowserProps) {
  const { t } = useTranslation();
  const [view, setView] = useState<View>(() => VIEWS.find((one) => one === localStorage.getItem(VIEW_KEY)) ?? "chat");
  const [tokenizer, setTokenizer] = useState(() => localStorage.getItem(TOKENIZER_KEY) ?? "builtin:pocket");
  const [typed, setTyped] = useState(tokenizer);
  const [editing, setEditing] = useState(false);
  const raw = useQuery(wholeRowQuery(name, split, row));
  const preview = useQuery({
    ...previewQuery(name, split, row, view === "tokens" ? tokenizer : ""),
    enabled: view !== "json",
  });
  const choose = (next: string) => {
    setView(next as View);
    localStorage.setItem(VIEW_KEY, next);
  };
  const take = () => {
    setTokenizer(typed.trim());
    localStorage.setItem(TOKENIZER_KEY, typed.trim());
  };
  const bad = raw.data?.bad;
  const error = raw.error ?? (view !== "json" ? preview.error : null);
  const shown = preview.data;
  return (
    <Box p={{ base: 4, md: 5 }}>
      <Flex align="center" gap={3} mb={4} wrap="wrap">
        <Box flex="1 1 120px" minW={0}>
          <Text textStyle="title">{t("data.row", { number: count(row + 1) })}</Text>
          <Text textStyle="caption" color="fg.muted" truncate>
            {raw.data?.source ?? "\u00a0"}
          </Text>
        </Box>
        <Segments
          label={t("data.view")}
          options={VIEWS.map((one) => ({ value: one, label: t(`data.view_${one}`) }))}
          value={view}
          onChange={choose}
        />
        {editable && !editing && raw.data?.value && (
          <Button size="xs" variant="outline" onClick={() => setEditing(true)}>
            <Pencil aria-hidden /> {t("data.edit")}
          </Button>
        )}
      </Flex>
      {editing && raw.data?.value ? (
        <Editor name={name} row={row} value={raw.data.value} onClose={() => setEditing(false)} onRow={onRow} />
      ) : error ? (
        <ErrorCard error={error} />
      ) : bad ? (
        <Box role="alert">
          <Text color="fg.error" mb={3} overflowWrap="anywhere">
            {[bad.field, bad.reason].filter(Boolean).join(": ")}
          </Text>
          <Code label={t("data.asItStands")}>{bad.text}</Code>
        </Box>
      ) : view === "json" ? (
        raw.data ? (
          <Code label="JSON">{JSON.stringify(raw.data.value, null, 2)}</Code>
        ) : (
          <Lines count={8} />
        )
      ) : !shown ? (
        <Lines count={8} />
      ) : shown.error ? (
        <Text color="fg.error" overflowWrap="anywhere">
          {shown.error}
        </Text>
      ) : view === "chat" ? (
        <Chat value={shown.value ?? raw.data?.value ?? {}} />
      ) : (
        <Box>
          <Flex asChild gap={2} mb={4}>
            <form
              onSubmit={(event) => {
                event.preventDefault();
                take();
              }}
            >
              <Input
                size="sm"
                maxW="320px"
                fontFamily="mono"
                fontSize="12.5px"
                aria-label={t("data.tokenizer")}
                value={typed}
                onChange={(event) => setTyped(event.target.value)}
              />
              <Button size="sm" type="submit" variant="outline" disabled={typed.trim() === tokenizer}>
                {t("data.useIt")}
              </Button>
            </form>
          </Flex>
          {shown.pieces.map((pieces, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: samples of one row
            <Box key={at} mb={4}>
              <Tokens pieces={pieces as [string, number][]} />
            </Box>
          ))}
          <Flex justify="space-between" gap={4} wrap="wrap" mt={4}>
            <TokensLegend />
            <Text textStyle="caption" color="fg.muted">
              {t("data.tokenCount", { tokens: count(shown.tokens ?? 0), learned: count(shown.learned ?? 0) })}
            </Text>
          </Flex>
        </Box>
      )}
    </Box>
  );
}

function Chat({ value }: { value: Record<string, unknown> }) {
  const messages = conversationOf(value);
  return messages.length ? (
    <Conversation messages={messages} />
  ) : (
    <Code label="JSON">{JSON.stringify(value, null, 2)}</Code>
  );
}

interface EditorProps {
  name: string;
  row: number;
  value: Record<string, unknown>;
  onClose: () => void;
  onRow: (row: number) => void;
}

/** A change makes a new version of the file; the old one stays. */
function Editor({ name, row, value, onClose }: EditorProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [saving, setSaving] = useState(false);
  let parsed: unknown;
  let fault = "";
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error);
  }
  const save = async (next: unknown) => {
    setSaving(true);
    try {
      const path = `/api/v1/datasets/${encodeURIComponent(name)}/rows/${row}`;
      const made = await send<{ name: string }>("PATCH", path, { value: next });
      await queries.invalidateQueries({ queryKey: ["datasets"] });
      tell(t("data.saved", { name: made.name }), t("data.savedHint", { name }));
      await navigate({
        to: "/data/$name",
        params: { name: made.name },
        search: { tab: undefined, split: undefined, row },
      });
    } catch (error) {
      warn(t("data.notSaved"), error);
      setSaving(false);
    }
  };
  return (
    <Box>
      <Textarea
        aria-label={t("data.edit")}
        value={text}
        onChange={(event) => setText(event.target.value)}
        fontFamily="mono"
        fontSize="12.5px"
        rows={18}
        spellCheck={false}
        aria-invalid={fault !== "" || undefined}
      />
      <Text role="status" textStyle="small" color="fg.error" minH="20px" mt={1}>
        {fault}
      </Text>
      <Flex gap={2} mt={2} wrap="wrap">
        <Button
          size="sm"
          colorPalette="accent"
          loading={saving}
          disabled={fault !== ""}
          onClick={() => void save(parsed)}
        >
          {t("data.save")}
        </Button>
        <Button size="sm" variant="ghost" onClick={onClose}>
          {t("data.discard")}
        </Button>
        <Button size="sm" variant="ghost" color="fg.error" ms="auto" onClick={() => void save(null)}>
          {t("data.removeRow")}
        </Button>
      </Flex>
    </Box>
  );
}
