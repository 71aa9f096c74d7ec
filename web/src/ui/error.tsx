// The card of an error: what happened, the fix, and a button that tries it.
import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { asProblem } from "@/api/problem";
import { Copy } from "./copy";

export interface ErrorCardProps {
  error: unknown;
  onRetry?: () => void;
  /** What else can be done: a one-click fix. */
  action?: ReactNode;
}

export function ErrorCard({ error, onRetry, action }: ErrorCardProps) {
  const { t } = useTranslation();
  const problem = asProblem(error);
  const title = problem.isUnreachable ? t("problem.unreachable") : problem.title || t("problem.unexpected");
  const detail = problem.isUnreachable ? t("problem.unreachableHint") : problem.detail;
  const told = [problem.code, title, detail, problem.fix].filter(Boolean).join("\n");
  return (
    <Box role="alert" borderWidth="1px" borderColor="danger.border" borderRadius="l3" bg="danger.subtle" p={5}>
      <Flex gap={3} align="flex-start">
        <Box color="danger.fg" mt="3px" flexShrink={0}>
          <TriangleAlert size={16} aria-hidden />
        </Box>
        <Box flex={1} minW={0} overflowWrap="anywhere">
          <Text textStyle="title">{title}</Text>
          {detail && detail !== title && <Text mt={1}>{detail}</Text>}
          {problem.fix && (
            <Text mt={3}>
              <Text as="span" fontWeight="600">
                {t("problem.fix")}{" "}
              </Text>
              {problem.fix}
            </Text>
          )}
          <Flex mt={4} gap={2} align="center" wrap="wrap">
            {action}
            {onRetry && (
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
