// A text of the language files, of the server or of a docstring, in which `backticks` mark what is typed.
import { Box } from "@chakra-ui/react";
import { Fragment } from "react";

/** A text whose line breaks are those of a source file, in one line. */
export const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, " ");

export function Rich({ children }: { children: string }) {
  const parts = children.split("`").map((text, at) => ({ text, key: String(at), isCode: at % 2 === 1 }));
  return parts.map(({ text, key, isCode }) =>
    isCode ? (
      <Box
        as="code"
        key={key}
        fontFamily="mono"
        fontSize="0.92em"
        px="0.35em"
        py="0.1em"
        borderRadius="l1"
        bg="bg.muted"
      >
        {text}
      </Box>
    ) : (
      <Fragment key={key}>{text}</Fragment>
    ),
  );
}
