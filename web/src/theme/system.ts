// The design system of the page: our tokens, and the recipes of the components that it uses. Chakra's whole default
// theme would be a fifth of the first load.
import { createSystem, defaultBaseConfig, defineConfig } from "@chakra-ui/react";
import { animationStyles, breakpoints, globalCss, keyframes, layerStyles } from "@chakra-ui/react/theme";
import { recipes, slotRecipes } from "./recipes";
import { semanticTokens, textStyles, tokens } from "./tokens";

const config = defineConfig({
  preflight: true,
  cssVarsPrefix: "b",
  cssVarsRoot: ":where(html)",
  theme: {
    breakpoints,
    keyframes,
    tokens,
    semanticTokens,
    recipes,
    slotRecipes,
    textStyles,
    layerStyles,
    animationStyles,
  },
  globalCss: {
    ...globalCss,
    "*": { ...globalCss["*"], fontFeatureSettings: "normal" },
    html: {
      color: "fg",
      bg: "bg",
      colorPalette: "gray",
      textStyle: "body",
      scrollbarGutter: { base: "auto", md: "stable" },
    },
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

export const system = createSystem(defaultBaseConfig, config);
