// What was decided for the reader, with the reason; and what the step said.
import { Box, Flex, Text } from "@chakra-ui/react";
import { Info, Terminal, TriangleAlert } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Copy, Rich, Section } from "@/ui";
import type { Choice } from "../api";
import type { StepNote } from "../live";

const shown = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

export function Chosen({ chosen }: { chosen: readonly Choice[] }) {
  const { t } = useTranslation();
  return (
    <Section title={t("run.chosen")} description={<Rich>{t("run.chosenHint")}</Rich>} flush>
      <Box as="dl" m={0}>
        {chosen.map((one, at) => (
          <Box
            key={one.field}
            display="grid"
            gridTemplateColumns={{ base: "1fr", sm: "minmax(0, 5fr) minmax(0, 7fr)" }}
            columnGap={5}
            px={{ base: 4, md: 5 }}
            py={2.5}
            borderTopWidth={at ? "1px" : 0}
            borderColor="border.muted"
          >
            <Box as="dt" minW={0} textStyle="code" overflowWrap="anywhere">
              <Text as="span" color="fg.muted">
                {one.field}{" "}
              </Text>
              {shown(one.value)}
            </Box>
            <Text as="dd" m={0} textStyle="small" color="fg.muted">
              {one.reason}
            </Text>
          </Box>
        ))}
      </Box>
    </Section>
  );
}

const ICONS = { info: Info, warning: TriangleAlert, command: Terminal } as const;

export function Notes({ notes }: { notes: readonly StepNote[] }) {
  const { t } = useTranslation();
  return (
    <Section title={t("run.notes")}>
      <Flex as="ul" direction="column" gap={2} listStyleType="none" m={0} p={0}>
        {notes.map((note) => {
          const Icon = ICONS[note.level] ?? Info;
          return (
            <Flex as="li" key={note.text} gap={2.5} align="flex-start">
              <Box color={note.level === "warning" ? "warning.fg" : "fg.subtle"} mt="4px" flexShrink={0}>
                <Icon size={14} aria-hidden />
              </Box>
              <Text
                minW={0}
                overflowWrap="anywhere"
                textStyle={note.level === "command" ? "code" : "body"}
                color={note.level === "warning" ? "warning.fg" : undefined}
              >
                {note.text}
              </Text>
              {note.level === "command" && <Copy value={note.text} />}
            </Flex>
          );
        })}
      </Flex>
    </Section>
  );
}
