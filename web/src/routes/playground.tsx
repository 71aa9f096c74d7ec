// The screen *Playground*: a conversation with several models side by side, with votes that may be blind.
import { Box, Button, Flex, Grid, Menu, Portal, Text } from "@chakra-ui/react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { History, MessagesSquare, SlidersHorizontal, SquarePen, Undo2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { UnknownModels } from "@/features/models/pick";
import { type Chat, earlierChats, isComparable, isOpen } from "@/features/playground/chat";
import { Composer } from "@/features/playground/composer";
import { Models } from "@/features/playground/heads";
import { AsCode, HowAsked, Votes } from "@/features/playground/side";
import { TurnCard } from "@/features/playground/turn";
import { useChat } from "@/features/playground/useChat";
import { Ago, EmptyState, ErrorCard, Page } from "@/ui";

const newId = () => crypto.getRandomValues(new Uint32Array(2)).reduce((text, one) => text + one.toString(36), "");
const EXAMPLES = ["play.example1", "play.example2", "play.example3"] as const;

export default function Playground() {
  const { chat } = useSearch({ from: "/shell/playground" });
  const [id, setId] = useState(() => chat ?? newId());
  useEffect(() => {
    if (chat !== undefined) setId(chat);
  }, [chat]);
  return <Talk key={id} id={id} onNew={() => setId(newId())} />;
}

function Talk({ id, onNew }: { id: string; onNew: () => void }) {
  const { t } = useTranslation();
  const search = useSearch({ from: "/shell/playground" });
  const navigate = useNavigate();
  const models = (search.models ?? "builtin:pocket").split(",");
  const { chat, setChat, problem, busy, start, stop, vote, replaced, undo } = useChat(id, models);
  const [prompt, setPrompt] = useState("");
  const [isSideOpen, setIsSideOpen] = useState(false);
  const end = useRef<HTMLDivElement>(null);
  const go = (next: { models?: string[]; chat?: string }) =>
    void navigate({
      to: "/playground",
      search: { models: (next.models ?? models).join(","), chat: next.chat },
      replace: true,
      resetScroll: false,
    });
  const change = (next: Partial<Chat>) => setChat((was) => ({ ...was, ...next }));
  const ask = (text: string, place: number) => {
    if (!text.trim() || busy) return;
    if (search.chat !== id) go({ chat: id });
    if (place === chat.turns.length) {
      setPrompt("");
      requestAnimationFrame(() => end.current?.scrollIntoView({ block: "end" }));
    }
    void start(text, place);
  };
  const last = chat.turns.at(-1);
  const answered = last?.answers.filter((one) => !isOpen(one)).length ?? 0;
  const cannotVote =
    last !== undefined && !busy && last.answers.length > 1 && last.voted === null && chat.turns.length > 1;
  return (
    <Page
      title={t("nav.playground")}
      description={t("play.hint")}
      actions={
        <>
          <Earlier onOpen={(one) => go({ models: one.models, chat: one.id })} />
          <Button
            size="sm"
            variant="outline"
            hideFrom="lg"
            aria-expanded={isSideOpen}
            onClick={() => setIsSideOpen(!isSideOpen)}
          >
            <SlidersHorizontal aria-hidden /> {t("play.settings")}
          </Button>
          <Button
            size="sm"
            variant="outline"
            disabled={!chat.turns.length}
            onClick={() => {
              go({ chat: undefined });
              onNew();
            }}
          >
            <SquarePen aria-hidden /> {t("play.new")}
          </Button>
        </>
      }
    >
      <Grid
        templateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(0, 1fr) 300px" }}
        gap={{ base: 5, lg: 8 }}
        alignItems="start"
      >
        <Flex direction="column" gap={5} minW={0} minH={{ base: "60dvh", lg: "calc(100dvh - 190px)" }}>
          <Models models={models} onChange={(next) => go({ models: next, chat: search.chat })} />
          {!problem && <UnknownModels />}
          {chat.turns.length === 0 && !problem && (
            <Flex flex={1} align="center" justify="center">
              <EmptyState
                icon={MessagesSquare}
                title={t("play.emptyTitle")}
                compact
                action={EXAMPLES.map((one) => (
                  <Button key={one} size="xs" variant="outline" onClick={() => setPrompt(t(one))}>
                    {t(one)}
                  </Button>
                ))}
              >
                {t("play.empty")}
              </EmptyState>
            </Flex>
          )}
          {chat.turns.length > 0 && (
            <Flex as="ol" direction="column" gap={7} m={0} p={0} flex={1} aria-label={t("play.conversation")}>
              {chat.turns.map((turn, at) => (
                <TurnCard
                  // biome-ignore lint/suspicious/noArrayIndexKey: turns have no name but their place
                  key={at}
                  turn={turn}
                  busy={busy}
                  comparable={isComparable(chat, at)}
                  onAsk={(text) => ask(text, at)}
                  onVote={(place) => void vote(at, place)}
                />
              ))}
            </Flex>
          )}
          {replaced > 0 && !busy && (
            <Flex align="center" gap={3} textStyle="small" color="fg.muted" role="status">
              {t("play.replaced", { count: replaced })}
              <Button size="xs" variant="outline" onClick={undo}>
                <Undo2 aria-hidden /> {t("play.undo")}
              </Button>
            </Flex>
          )}
          {problem && <ErrorCard error={problem} />}
          {cannotVote && !isComparable(chat, chat.turns.length - 1) && (
            <Text textStyle="caption" color="fg.muted">
              {t("play.ownHistory")}
            </Text>
          )}
          <Text role="status" srOnly>
            {last && (busy ? t("play.isAnswering", { count: last.answers.length - answered }) : t("play.allAnswered"))}
          </Text>
          <Composer
            prompt={prompt}
            busy={busy}
            ready={models.some((one) => one.trim())}
            blind={chat.blind && models.length > 1}
            onPrompt={setPrompt}
            onAsk={() => ask(prompt, chat.turns.length)}
            onStop={stop}
          />
          <div ref={end} />
        </Flex>
        <Flex
          direction="column"
          gap={5}
          minW={0}
          display={{ base: isSideOpen ? "flex" : "none", lg: "flex" }}
          order={{ base: -1, lg: 0 }}
        >
          <HowAsked chat={chat} onChange={change} />
          <AsCode chat={chat} prompt={prompt} models={models} />
          <Votes />
        </Flex>
      </Grid>
    </Page>
  );
}

function Earlier({ onOpen }: { onOpen: (one: { id: string; models: string[] }) => void }) {
  const { t } = useTranslation();
  const [chats, setChats] = useState(earlierChats);
  if (!chats.length) return null;
  return (
    <Menu.Root positioning={{ placement: "bottom-end" }} onOpenChange={(next) => next.open && setChats(earlierChats())}>
      <Menu.Trigger asChild>
        <Button size="sm" variant="outline">
          <History aria-hidden /> {t("play.earlier")}
        </Button>
      </Menu.Trigger>
      <Portal>
        <Menu.Positioner>
          <Menu.Content maxH="360px" overflowY="auto" w="min(92vw, 360px)">
            {chats.map((one) => (
              <Menu.Item key={one.id} value={one.id} onSelect={() => onOpen(one)}>
                <Box minW={0} flex={1}>
                  <Text truncate>{one.title}</Text>
                  <Text textStyle="caption" color="fg.muted" truncate>
                    {one.models.join(", ")}
                  </Text>
                </Box>
                <Box textStyle="caption" color="fg.muted" flexShrink={0}>
                  <Ago at={one.at} />
                </Box>
              </Menu.Item>
            ))}
          </Menu.Content>
        </Menu.Positioner>
      </Portal>
    </Menu.Root>
  );
}
