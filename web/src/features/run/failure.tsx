// Why a step failed, and what can be done about it with one click.
import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { Link } from "@tanstack/react-router";
import { RotateCw, ScrollText, ShieldAlert, SlidersHorizontal, TriangleAlert } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Copy, Rich } from "@/ui";
import { ForkLink, isOfSettings } from "./actions";
import type { Failure, RunName } from "./api";

export interface FailureCardProps {
  name: RunName;
  step: string;
  /** Where the step is done: `recipe/number/step`. */
  run: string;
  failure: Failure;
  /** Not given where resuming would not help: while the run goes on. */
  onResume?: () => void;
  isResuming: boolean;
}

/** The command that a fix names, if it names one. */
export function commandIn(fix: string): string | null {
  const found = /`(burnish [^`]+)`/.exec(fix) ?? /(?:^|[:,;] |\brun )(burnish [a-z][^,;\n]*)/.exec(fix);
  return found?.[1]?.trim().replace(/\.$/, "") ?? null;
}

/** The file of bad rows that a fix names, within the folder of the step. */
export function quarantineIn(fix: string, run: string): string | null {
  const path = /\S*quarantine\.jsonl/.exec(fix)?.[0] ?? "";
  const at = path.lastIndexOf(`/${run}/`);
  return at < 0 ? null : path.slice(at + run.length + 2);
}

export function FailureCard({ name, step, run, failure, onResume, isResuming }: FailureCardProps) {
  const { t } = useTranslation();
  const isSettings = isOfSettings(failure);
  const quarantine = quarantineIn(failure.fix ?? "", run);
  const command = commandIn(failure.fix ?? "");
  return (
    <Box
      role="alert"
      borderWidth="1px"
      borderColor="danger.border"
      borderRadius="l3"
      bg="danger.subtle"
      p={{ base: 4, md: 5 }}
    >
      <Flex gap={3} align="flex-start">
        <Box color="danger.fg" mt="2px" flexShrink={0}>
          <TriangleAlert size={18} aria-hidden />
        </Box>
        <Box flex={1} minW={0} overflowWrap="anywhere">
          <Flex align="baseline" gap={3} wrap="wrap">
            <Text as="h2" textStyle="title">
              {t("run.whyFailed", { step })}
            </Text>
            <Text textStyle="code" color="fg.muted">
              {failure.code}
            </Text>
          </Flex>
          <Text mt={1.5} maxW="90ch">
            <Rich>{failure.what}</Rich>
          </Text>
          {failure.fix && (
            <Text mt={2} maxW="90ch">
              <Text as="span" fontWeight="600">
                {t("problem.fix")}{" "}
              </Text>
              <Rich>{failure.fix}</Rich>
            </Text>
          )}
          <Flex mt={4} gap={2} align="center" wrap="wrap">
            {isSettings && (
              <Button asChild size="xs" colorPalette="accent">
                <ForkLink name={name}>
                  <SlidersHorizontal size={13} aria-hidden />
                  {t("run.change")}
                </ForkLink>
              </Button>
            )}
            {onResume && (
              <Button
                size="xs"
                colorPalette={isSettings ? undefined : "accent"}
                variant={isSettings ? "outline" : "solid"}
                bg={isSettings ? "bg" : undefined}
                onClick={onResume}
                loading={isResuming}
              >
                <RotateCw size={13} aria-hidden />
                {t("run.resume")}
              </Button>
            )}
            {quarantine && (
              <Button asChild size="xs" variant="outline" bg="bg">
                <Link
                  to="/runs/$recipe/$number"
                  params={name}
                  search={{ step, tab: "files", file: quarantine }}
                  resetScroll={false}
                >
                  <ShieldAlert size={13} aria-hidden />
                  {t("run.openQuarantine")}
                </Link>
              </Button>
            )}
            <Button asChild size="xs" variant="outline" bg="bg">
              <Link
                to="/runs/$recipe/$number"
                params={name}
                search={{ step, tab: "logs", level: "error" }}
                resetScroll={false}
              >
                <ScrollText size={13} aria-hidden />
                {t("run.openLog")}
              </Link>
            </Button>
            {command && (
              <Flex
                align="center"
                gap={1}
                ps={3}
                pe={1}
                h="28px"
                borderWidth="1px"
                borderColor="border"
                borderRadius="l2"
                bg="bg"
                minW={0}
                maxW="100%"
              >
                <Text textStyle="code" truncate>
                  {command}
                </Text>
                <Copy value={command} label={t("run.copyCommand")} />
              </Flex>
            )}
          </Flex>
        </Box>
      </Flex>
    </Box>
  );
}
