// The card of an error: what happened, the fix, and a button that tries it.
import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { asProblem, type Problem } from "@/api/problem";
import { errorName } from "@/i18n/names";
import { Copy } from "./copy";
import { Rich } from "./rich";

export interface ErrorCardProps {
  error: unknown;
  onRetry?: () => void;
  /** What else can be done: a one-click fix. */
  action?: ReactNode;
}

/** What happened, once: the class of an error is said only where it is all that is known, or in another language. */
export function said({ code, title, detail }: Problem, name: string | undefined, unexpected: string): [string, string] {
  if (name) return [name, detail];
  if (title && !code) return [title, detail === title ? "" : detail];
  return [begun(detail || title) || unexpected, ""];
}

const begun = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

export function ErrorCard({ error, onRetry, action }: ErrorCardProps) {
  const { t } = useTranslation();
  const problem = asProblem(error);
  const [title, detail] = problem.isUnreachable
    ? [t("problem.unreachable"), t("problem.unreachableHint")]
    : said(problem, errorName(problem.code), t("problem.unexpected"));
  const told = [problem.code, problem.detail || title, problem.fix].filter(Boolean).join("\n");
  return (
    <Box role="alert" borderWidth="1px" borderColor="danger.border" borderRadius="l3" bg="danger.subtle" p={5}>
      <Flex gap={3} align="flex-start">
        <Box color="danger.fg" mt="3px" flexShrink={0}>
          <TriangleAlert size={16} aria-hidden />
        </Box>
        <Box flex={1} minW={0} overflowWrap="anywhere">
          <Text textStyle="title" whiteSpace="pre-line">
            <Rich>{title}</Rich>
          </Text>
          {detail && (
            <Text mt={1} whiteSpace="pre-line">
              <Rich>{detail}</Rich>
            </Text>
          )}
          {problem.fix && (
            <Text mt={3}>
              <Text as="span" fontWeight="600">
                {t("problem.fix")}{" "}
              </Text>
              <Rich>{problem.fix}</Rich>
            </Text>
          )}
          <Flex mt={4} gap={2} align="center" wrap="wrap">
            {action}
            {onRetry && problem.status !== 404 && (
              <Button size="xs" variant="outline" bg="bg" onClick={onRetry}>
                {t("ui.retry")}
              </Button>
            )}
            {problem.code && (
              <Text textStyle="code" color="fg.muted">
                {problem.code}
              </Text>
            )}
            <Copy value={told} label={t("problem.copy")} />
          </Flex>
        </Box>
      </Flex>
    </Box>
  );
}
