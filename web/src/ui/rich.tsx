// A text of the language files in which `backticks` mark what is typed.
import { Box } from "@chakra-ui/react";
import { Fragment } from "react";

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
