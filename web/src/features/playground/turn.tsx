// One turn: what was asked, which can be edited and asked again, and the answers side by side.
import { Box, Button, Flex, Grid, IconButton, Text, Textarea } from "@chakra-ui/react";
import { Pencil, RefreshCw } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Copy } from "@/ui";
import { AnswerCard } from "./answer";
import type { Turn } from "./chat";

export interface TurnProps {
  turn: Turn;
  busy: boolean;
  /** Whether the answers can be voted on, and why not. */
  comparable: boolean;
  onAsk: (prompt: string) => void;
  onVote: (place: number) => void;
}

export function TurnCard({ turn, busy, comparable, onAsk, onVote }: TurnProps) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState<string | null>(null);
  const hidden = turn.blind && turn.voted === null;
  const send = () => {
    if (!draft?.trim()) return;
    onAsk(draft);
    setDraft(null);
  };
  const keys = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") setDraft(null);
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
  };
  return (
    <Flex as="li" direction="column" gap={3} listStyleType="none">
      {draft === null ? (
        <Flex justify="flex-end" align="flex-end" gap={1} direction={{ base: "column", md: "row" }}>
          <Flex gap={0.5} order={{ base: 1, md: 0 }} color="fg.muted">
            <Copy value={turn.prompt} />
            <IconButton
              size="2xs"
              variant="ghost"
              color="inherit"
              disabled={busy}
              aria-label={t("play.edit")}
              title={t("play.edit")}
              onClick={() => setDraft(turn.prompt)}
            >
              <Pencil />
            </IconButton>
            <IconButton
              size="2xs"
              variant="ghost"
              color="inherit"
              disabled={busy}
              aria-label={t("play.again")}
              title={t("play.again")}
              onClick={() => onAsk(turn.prompt)}
            >
              <RefreshCw />
            </IconButton>
          </Flex>
          <Text
            bg="bg.muted"
            borderRadius="l3"
            px={4}
            py={2.5}
            maxW={{ base: "full", md: "72ch" }}
            whiteSpace="pre-wrap"
            overflowWrap="anywhere"
          >
            {turn.prompt}
          </Text>
        </Flex>
      ) : (
        <Box>
          <Textarea
            rows={2}
            autoresize
            autoFocus
            aria-label={t("play.edit")}
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={keys}
          />
          <Flex mt={2} gap={2} justify="flex-end" align="center">
            <Text textStyle="caption" color="fg.muted" me="auto">
              {t("play.editHint")}
            </Text>
            <Button size="xs" variant="ghost" onClick={() => setDraft(null)}>
              {t("settings.cancel")}
            </Button>
            <Button size="xs" colorPalette="accent" disabled={!draft.trim()} onClick={send}>
              {t("play.ask")}
            </Button>
          </Flex>
        </Box>
      )}
      <Grid
        templateColumns={{
          base: "minmax(0, 1fr)",
          md: `repeat(${Math.min(2, turn.answers.length)}, minmax(0, 1fr))`,
        }}
        gap={4}
      >
        {turn.order.map((place, seat) => {
          const answer = turn.answers[place];
          if (!answer) return null;
          return (
            <AnswerCard
              key={answer.model}
              name={hidden ? t("play.letter", { letter: String.fromCharCode(65 + seat) }) : answer.model}
              answer={answer}
              hidden={hidden}
              best={turn.voted === place}
              onVote={comparable && !busy && turn.voted === null ? () => onVote(place) : undefined}
            />
          );
        })}
      </Grid>
    </Flex>
  );
}
