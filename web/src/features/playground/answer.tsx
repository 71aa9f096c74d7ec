// One answer of one model: as it comes, how fast it came, and whether it is the better one.
import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { ThumbsUp } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Copy, count, duration } from "@/ui";
import { type Answer, isOpen } from "./chat";

export interface AnswerCardProps {
  name: string;
  answer: Answer;
  hidden: boolean;
  best: boolean;
  onVote?: () => void;
}

export function AnswerCard({ name, answer, hidden, best, onVote }: AnswerCardProps) {
  const { t } = useTranslation();
  const open = isOpen(answer);
  return (
    <Flex
      as="section"
      aria-label={name}
      aria-busy={open}
      direction="column"
      borderWidth="1px"
      borderColor={best ? "success.solid" : "border"}
      borderRadius="l3"
      bg="bg.panel"
      minH="132px"
      minW={0}
    >
      <Flex align="center" gap={2} ps={4} pe={2} h="40px">
        <Text
          flex={1}
          truncate
          title={name}
          textStyle={hidden ? "small" : "code"}
          fontWeight={hidden ? "500" : undefined}
          color="fg.muted"
        >
          {name}
        </Text>
        {best && (
          <Flex align="center" gap={1} color="success.fg" textStyle="caption" fontWeight="500" flexShrink={0}>
            <ThumbsUp size={13} aria-hidden />
            {t("play.best")}
          </Flex>
        )}
        {answer.text && <Copy value={answer.text} />}
      </Flex>
      <Box flex={1} px={4} pb={3} whiteSpace="pre-wrap" overflowWrap="anywhere">
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
        {!answer.text && open && (
          <Text color="fg.muted" animation="pulse">
            {answer.state === "loading" ? answer.note || t("play.loading") : t("play.waiting")}
          </Text>
        )}
        {answer.state === "done" && !answer.text && <Text color="fg.muted">{t("play.nothing")}</Text>}
        {answer.state === "stopped" && (
          <Text color="fg.muted" textStyle="small" mt={answer.text ? 2 : 0}>
            {t("play.stopped")}
          </Text>
        )}
        {answer.state === "failed" && (
          <Text color="fg.error" role="alert">
            {answer.note}
          </Text>
        )}
      </Box>
      <Flex align="center" ps={4} pe={2} h="40px" gap={3} borderTopWidth="1px" borderColor="border.muted">
        <Text flex={1} textStyle="caption" color="fg.muted" fontVariantNumeric="tabular-nums" truncate>
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
