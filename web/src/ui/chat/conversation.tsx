// A conversation as it was said: who, what, and which tools were called.
import { Box, Flex, Text } from "@chakra-ui/react";
import { Wrench } from "lucide-react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { learnedParts, type Part, type Piece } from "./learned";
import type { ChatMessage } from "./messages";
import { Stretches } from "./tokens";

const NAMED = ["system", "developer", "user", "assistant", "tool", "chosen", "rejected", "text"] as const;
type Named = (typeof NAMED)[number];

/** What has no name and does not move is known by its place. */
const keyed = <One,>(all: readonly One[]): [string, One][] => all.map((one, at) => [String(at), one]);

export interface ConversationProps {
  messages: readonly ChatMessage[];
  /** The tokens of the row, by sample: what a training learns of them is coloured. */
  samples?: readonly (readonly Piece[])[];
}

export function Conversation({ messages, samples }: ConversationProps) {
  const parts = useMemo(() => (samples?.length ? learnedParts(messages, samples) : []), [messages, samples]);
  return (
    <Flex as="ol" direction="column" gap={3} listStyleType="none" m={0} p={0}>
      {keyed(messages).map(([key, message]) => (
        <Turn key={key} message={message} parts={parts[Number(key)] ?? []} />
      ))}
    </Flex>
  );
}

function Turn({ message, parts }: { message: ChatMessage; parts: readonly Part[] }) {
  const { t } = useTranslation();
  const { role } = message;
  const name = NAMED.includes(role as Named) ? t(`chat.${role as Named}`) : role;
  const isAnswer = role === "assistant" || role === "chosen";
  return (
    <Flex as="li" gap={3} direction={{ base: "column", sm: "row" }} rowGap={0.5}>
      <Text
        textStyle="caption"
        color={isAnswer ? "accent.fg" : "fg.muted"}
        fontWeight="550"
        w={{ sm: "72px" }}
        flexShrink={0}
        pt="2px"
      >
        {name}
      </Text>
      <Box
        flex={1}
        minW={0}
        borderStartWidth={{ sm: "2px" }}
        borderColor={isAnswer ? "accent.solid" : role === "rejected" ? "danger.solid" : "border.emphasized"}
        ps={{ sm: 3 }}
        overflowWrap="anywhere"
        whiteSpace="pre-wrap"
      >
        {message.reasoning && (
          <Text color="fg.muted" textStyle="small" mb={1}>
            {message.reasoning}
          </Text>
        )}
        {parts.length > 0 ? <Stretches parts={parts} /> : message.text}
        {!message.text && parts.length + message.calls.length === 0 && <Text color="fg.subtle">{t("chat.empty")}</Text>}
        {keyed(message.calls).map(([key, call]) => (
          <Box
            key={key}
            mt={message.text ? 2 : 0}
            borderWidth="1px"
            borderColor="border"
            borderRadius="l2"
            bg="bg.subtle"
            overflow="hidden"
          >
            <Flex align="center" gap={2} px={3} h="28px" textStyle="caption" fontFamily="mono">
              <Wrench size={12} aria-hidden />
              {call.name}
            </Flex>
            <Box
              as="pre"
              m={0}
              px={3}
              py={2}
              textStyle="code"
              borderTopWidth="1px"
              borderColor="border.muted"
              whiteSpace="pre-wrap"
            >
              {call.arguments}
            </Box>
          </Box>
        ))}
      </Box>
    </Flex>
  );
}
