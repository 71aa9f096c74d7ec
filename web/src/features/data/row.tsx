// One row: as a conversation whose learned tokens are coloured, as tokens, as JSON; and its editor.
import { Box, Button, Flex, Input, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Pencil } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Code, count, ErrorCard, Lines, Segments } from "@/ui";
import { Conversation, conversationOf, type Piece, Tokens, TokensLegend } from "@/ui/chat";
import { useReturn } from "@/ui/focus";
import { RowEditor } from "./edit";
import { previewQuery, wholeRowQuery } from "./queries";
import type { RowBrowserProps } from "./rows";

const VIEWS = ["chat", "tokens", "json"] as const;
type View = (typeof VIEWS)[number];
const VIEW_KEY = "burnish.rows.view";
const TOKENIZER_KEY = "burnish.rows.tokenizer";
const POCKET = "builtin:pocket";

export function RowDetail({ name, split, row, editable }: RowBrowserProps) {
  const { t } = useTranslation();
  const [view, setView] = useState<View>(() => VIEWS.find((one) => one === localStorage.getItem(VIEW_KEY)) ?? "chat");
  const [tokenizer, setTokenizer] = useState(() => localStorage.getItem(TOKENIZER_KEY) ?? POCKET);
  const [editing, setEditing] = useState(false);
  const opener = useReturn(editing);
  const raw = useQuery(wholeRowQuery(name, split, row));
  const preview = useQuery({ ...previewQuery(name, split, row, tokenizer), enabled: view !== "json" });
  const choose = (next: string) => {
    setView(next as View);
    localStorage.setItem(VIEW_KEY, next);
  };
  const take = (next: string) => {
    setTokenizer(next);
    localStorage.setItem(TOKENIZER_KEY, next);
  };
  const bad = raw.data?.bad;
  const value = raw.data?.value;
  return (
    <Box p={{ base: 4, md: 5 }}>
      <Flex align="center" gap={3} mb={4} wrap="wrap">
        <Box flex="1 1 120px" minW={0}>
          <Text textStyle="title">{t("data.row", { number: count(row + 1) })}</Text>
          <Text textStyle="caption" color="fg.muted" truncate>
            {raw.data?.source ?? "\u00a0"}
          </Text>
        </Box>
        {!editing && (
          <Segments
            label={t("data.view")}
            options={VIEWS.map((one) => ({ value: one, label: t(`data.view_${one}`) }))}
            value={view}
            onChange={choose}
          />
        )}
        {editable && !editing && (
          <Button
            ref={opener}
            size="xs"
            variant="outline"
            visibility={value ? undefined : "hidden"}
            onClick={() => setEditing(true)}
          >
            <Pencil aria-hidden /> {t("data.edit")}
          </Button>
        )}
      </Flex>
      {editing && value ? (
        <RowEditor name={name} row={row} value={value} onClose={() => setEditing(false)} />
      ) : raw.error ? (
        <ErrorCard error={raw.error} onRetry={() => void raw.refetch()} />
      ) : bad ? (
        <Box role="alert">
          <Text color="fg.error" mb={3} overflowWrap="anywhere">
            {[bad.field, bad.reason].filter(Boolean).join(": ")}
          </Text>
          <Code label={t("data.asItStands")}>{bad.text}</Code>
        </Box>
      ) : !value ? (
        <Lines count={8} />
      ) : view === "json" ? (
        <Code label="JSON">{JSON.stringify(value, null, 2)}</Code>
      ) : (
        <>
          {view === "chat" ? (
            <Chat value={preview.data?.value ?? value} samples={samplesOf(preview.data)} />
          ) : preview.data ? (
            preview.data.pieces.map((pieces, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: samples of one row
              <Box key={at} mb={4}>
                <Tokens pieces={pieces as [string, number][]} />
              </Box>
            ))
          ) : (
            !preview.error && <Lines count={8} />
          )}
          <Learned shown={preview.data} error={preview.error} tokenizer={tokenizer} onTokenizer={take} />
        </>
      )}
    </Box>
  );
}

const samplesOf = (shown: { pieces: unknown } | null | undefined) => shown?.pieces as Piece[][] | undefined;

function Chat({ value, samples }: { value: Record<string, unknown>; samples: Piece[][] | undefined }) {
  const messages = conversationOf(value);
  return messages.length ? (
    <Conversation messages={messages} samples={samples} />
  ) : (
    <Code label="JSON">{JSON.stringify(value, null, 2)}</Code>
  );
}

interface LearnedProps {
  shown: { error: string | null; tokens?: number | null; learned?: number | null } | null | undefined;
  error: unknown;
  tokenizer: string;
  onTokenizer: (tokenizer: string) => void;
}

/** What the colours say, how many tokens are learned, and whose tokens they are. */
function Learned({ shown, error, tokenizer, onTokenizer }: LearnedProps) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState(tokenizer);
  return (
    <Flex
      mt={6}
      pt={4}
      gap={4}
      rowGap={3}
      align="center"
      wrap="wrap"
      borderTopWidth="1px"
      borderColor="border.muted"
      minH="49px"
    >
      <Box flex="1 1 220px" minW={0}>
        <TokensLegend />
        <Text
          role="status"
          textStyle="caption"
          color={shown?.error ? "fg.error" : "fg.muted"}
          mt={1.5}
          minH="16px"
          overflowWrap="anywhere"
        >
          {shown?.error ??
            (shown
              ? t("data.tokenCount", { tokens: count(shown.tokens ?? 0), learned: count(shown.learned ?? 0) })
              : error
                ? ""
                : t("data.reading"))}
        </Text>
      </Box>
      <Flex asChild gap={2}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            onTokenizer(typed.trim());
          }}
        >
          <Input
            size="xs"
            w="200px"
            fontFamily="mono"
            aria-label={t("data.tokenizer")}
            title={t("data.tokenizer")}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
          <Button size="xs" type="submit" variant="outline" disabled={!typed.trim() || typed.trim() === tokenizer}>
            {t("data.useIt")}
          </Button>
        </form>
      </Flex>
      {error !== null && error !== undefined && (
        <Box w="full">
          <ErrorCard error={error} />
        </Box>
      )}
    </Flex>
  );
}
