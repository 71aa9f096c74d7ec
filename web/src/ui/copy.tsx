// Copying: a button that says when it has done it, and a block of code that has one.
import { Box, Flex, IconButton, Text } from "@chakra-ui/react";
import { Check, Copy as CopyIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { warn } from "./toast";

async function toClipboard(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // a page of plain http from another machine has no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  if (!isCopied) throw new Error();
}

export function Copy({ value, label }: { value: string; label?: string }) {
  const { t } = useTranslation();
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  const name = done ? t("ui.copied") : (label ?? t("ui.copy"));
  return (
    <IconButton
      size="2xs"
      variant="ghost"
      aria-label={name}
      title={name}
      color={done ? "success.fg" : "fg.muted"}
      onClick={() =>
        toClipboard(value).then(
          () => setDone(true),
          (error: unknown) => warn(t("ui.notCopied"), error),
        )
      }
    >
      {done ? <Check /> : <CopyIcon />}
    </IconButton>
  );
}

/** Text in a fixed width with a button that copies it: a command, YAML, an error. */
export function Code({ children, label, maxHeight }: { children: string; label?: string; maxHeight?: string }) {
  return (
    <Box borderWidth="1px" borderColor="border" borderRadius="l2" bg="bg.subtle" overflow="hidden">
      <Flex align="center" justify="space-between" px={3} h="32px" borderBottomWidth="1px" borderColor="border.muted">
        <Text textStyle="caption" color="fg.muted">
          {label}
        </Text>
        <Copy value={children} />
      </Flex>
      <Box
        as="pre"
        tabIndex={0}
        textStyle="code"
        px={3}
        py={2.5}
        overflow="auto"
        maxH={maxHeight}
        whiteSpace="pre"
        m={0}
      >
        {children}
      </Box>
    </Box>
  );
}
