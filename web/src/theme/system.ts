// The design system of the page: Chakra's recipes on the tokens of this folder.
import { createSystem, defaultConfig, defineConfig } from "@chakra-ui/react";
import { semanticColors, series, textStyles, tokens } from "./tokens";

const config = defineConfig({
  theme: {
    tokens,
    semanticTokens: {
      colors: { ...semanticColors, series },
      radii: { l1: { value: "4px" }, l2: { value: "6px" }, l3: { value: "10px" } },
    },
    textStyles,
  },
  globalCss: {
    "*": { fontFeatureSettings: "normal" },
    html: { textStyle: "body", scrollbarGutter: { base: "auto", md: "stable" } },
    body: { margin: 0, bg: "bg", color: "fg" },
    "*::selection": { bg: "accent.muted" },
    "a:focus-visible, [tabindex]:focus-visible": {
      outline: "2px solid",
      outlineColor: "accent.focusRing",
      outlineOffset: "2px",
      borderRadius: "l1",
    },
  },
});

export const system = createSystem(defaultConfig, config);
