// Where the next prompt is written. Enter sends it, Shift+Enter starts a line; an input method keeps its Enter.
import { Button, Flex, Text, Textarea } from "@chakra-ui/react";
import { SendHorizontal, Square } from "lucide-react";
import type { FormEvent, KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

export interface ComposerProps {
  prompt: string;
  busy: boolean;
  ready: boolean;
  blind: boolean;
  onPrompt: (prompt: string) => void;
  onAsk: () => void;
  onStop: () => void;
}

export function Composer({ prompt, busy, ready, blind, onPrompt, onAsk, onStop }: ComposerProps) {
  const { t } = useTranslation();
  const keys = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    onAsk();
  };
  return (
    <Flex
      as="form"
      position="sticky"
      bottom={{ base: 2, md: 4 }}
      zIndex="docked"
      direction="column"
      bg="bg.panel"
      borderWidth="1px"
      borderColor="border.emphasized"
      borderRadius="l3"
      boxShadow="md"
      _focusWithin={{ borderColor: "accent.solid" }}
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        onAsk();
      }}
    >
      <Textarea
        rows={2}
        autoresize
        maxH="40vh"
        border="none"
        outline="none"
        px={4}
        pt={3}
        pb={1}
        aria-label={t("play.prompt")}
        value={prompt}
        placeholder={t("play.promptHint")}
        onKeyDown={keys}
        onChange={(event) => onPrompt(event.target.value)}
      />
      <Flex align="center" gap={3} ps={4} pe={2} pb={2}>
        <Text flex={1} textStyle="caption" color="fg.muted" truncate>
          {blind ? t("play.isBlind") : ""}
        </Text>
        {busy ? (
          <Button size="sm" variant="outline" onClick={onStop}>
            <Square aria-hidden /> {t("play.stop")}
          </Button>
        ) : (
          <Button size="sm" type="submit" colorPalette="accent" disabled={!prompt.trim() || !ready}>
            <SendHorizontal aria-hidden /> {t("play.ask")}
          </Button>
        )}
      </Flex>
    </Flex>
  );
}
