// The few colours and sizes that everything is made of. A screen uses semantic tokens, never these values.
import { defineTokens } from "@chakra-ui/react";
import * as scale from "./scale";

const sans =
  'Inter, -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", system-ui, sans-serif';
const mono =
  '"SF Mono", SFMono-Regular, Menlo, "Cascadia Mono", Consolas, "Liberation Mono", "Noto Sans Mono", monospace';

export const tokens = defineTokens({
  ...scale,
  fonts: { body: { value: sans }, heading: { value: sans }, mono: { value: mono } },
  colors: {
    gray: {
      50: { value: "#f8f8f9" },
      100: { value: "#f1f1f3" },
      200: { value: "#e4e5e8" },
      300: { value: "#d2d4d9" },
      400: { value: "#a3a7b0" },
      500: { value: "#646974" },
      600: { value: "#565b66" },
      700: { value: "#3b3f48" },
      800: { value: "#26292f" },
      900: { value: "#191b20" },
      950: { value: "#121317" },
    },
    white: { value: "#ffffff" },
    black: { value: "#000000" },
    blackAlpha: { 500: { value: "rgb(10 11 14 / 0.42)" } },
    ink: { value: "#15171c" },
    night: { value: "#0c0d10" },
  },
});

const pair = (light: string, dark: string) => ({ value: { _light: light, _dark: dark } });

/** The tokens that Chakra's recipes need of a colour that can be a `colorPalette`. */
const palette = (light: string, dark: string, solid: [string, string], tint: [string, string]) => ({
  contrast: pair("white", "white"),
  fg: pair(light, dark),
  subtle: pair(tint[0], tint[1]),
  muted: pair(`color-mix(in srgb, ${solid[0]} 18%, white)`, `color-mix(in srgb, ${solid[1]} 34%, #0c0d10)`),
  emphasized: pair(`color-mix(in srgb, ${solid[0]} 30%, white)`, `color-mix(in srgb, ${solid[1]} 48%, #0c0d10)`),
  solid: pair(solid[0], solid[1]),
  focusRing: pair(solid[0], dark),
  border: pair(`color-mix(in srgb, ${solid[0]} 30%, white)`, `color-mix(in srgb, ${solid[1]} 45%, #0c0d10)`),
});

const colors = {
  bg: {
    DEFAULT: pair("#ffffff", "{colors.night}"),
    subtle: pair("{colors.gray.50}", "{colors.gray.950}"),
    muted: pair("{colors.gray.100}", "{colors.gray.900}"),
    emphasized: pair("{colors.gray.200}", "{colors.gray.800}"),
    panel: pair("#ffffff", "{colors.gray.950}"),
    inverted: pair("{colors.ink}", "#ffffff"),
  },
  fg: {
    DEFAULT: pair("{colors.ink}", "#ecedf0"),
    muted: pair("{colors.gray.600}", "#a5a9b3"),
    subtle: pair("{colors.gray.500}", "#858a95"),
    inverted: pair("#ffffff", "{colors.ink}"),
    error: pair("#b42332", "#ff8a8f"),
    warning: pair("#8a5300", "#f0b65a"),
    success: pair("#17704a", "#5fcf9b"),
    info: pair("#3448c5", "#93a3ff"),
  },
  border: {
    DEFAULT: pair("{colors.gray.200}", "{colors.gray.800}"),
    muted: pair("{colors.gray.100}", "#1e2026"),
    subtle: pair("{colors.gray.100}", "{colors.gray.900}"),
    emphasized: pair("{colors.gray.300}", "{colors.gray.700}"),
    inverted: pair("{colors.gray.800}", "{colors.gray.200}"),
    error: pair("#c92a3a", "#ff8a8f"),
  },
  accent: palette("#3448c5", "#93a3ff", ["#3f55e0", "#5166ee"], ["#eef0fe", "#191c38"]),
  success: palette("#17704a", "#5fcf9b", ["#1d8558", "#1d8558"], ["#e9f6ef", "#10241b"]),
  warning: palette("#8a5300", "#f0b65a", ["#a86400", "#a86400"], ["#fdf4e3", "#2a2011"]),
  danger: palette("#b42332", "#ff8a8f", ["#c92a3a", "#c92a3a"], ["#fdeeee", "#2f1618"]),
  gray: {
    contrast: pair("#ffffff", "{colors.ink}"),
    fg: pair("{colors.gray.800}", "{colors.gray.200}"),
    subtle: pair("{colors.gray.100}", "{colors.gray.900}"),
    muted: pair("{colors.gray.200}", "{colors.gray.800}"),
    emphasized: pair("{colors.gray.300}", "{colors.gray.700}"),
    solid: pair("{colors.ink}", "#f3f4f6"),
    focusRing: pair("#3f55e0", "#93a3ff"),
    border: pair("{colors.gray.200}", "{colors.gray.800}"),
  },
};

/** The series of a chart, in order; told apart also by people who see few colours. */
const series = {
  1: pair("#3f55e0", "#8093ff"),
  2: pair("#c2570c", "#f5a15c"),
  3: pair("#0f7b6c", "#4cc9b5"),
  4: pair("#a5317f", "#e887c4"),
  5: pair("#6b7a10", "#bccb4e"),
  6: pair("#5b616e", "#a5a9b3"),
};

const shadow = (light: string, dark: string) => pair(light, dark);

export const semanticTokens = {
  colors: { ...colors, series },
  radii: { l1: { value: "4px" }, l2: { value: "6px" }, l3: { value: "10px" } },
  shadows: {
    xs: shadow("0 1px 2px rgb(18 19 23 / 0.06)", "0 1px 2px rgb(0 0 0 / 0.5)"),
    sm: shadow("0 1px 3px rgb(18 19 23 / 0.1)", "0 1px 3px rgb(0 0 0 / 0.6)"),
    md: shadow("0 4px 14px rgb(18 19 23 / 0.1)", "0 4px 14px rgb(0 0 0 / 0.6)"),
    xl: shadow("0 20px 48px rgb(18 19 23 / 0.18)", "0 20px 48px rgb(0 0 0 / 0.8)"),
    inset: shadow("inset 0 0 0 1px rgb(18 19 23 / 0.04)", "inset 0 0 0 1px rgb(255 255 255 / 0.05)"),
    lg: shadow("0 12px 32px rgb(18 19 23 / 0.14)", "0 12px 32px rgb(0 0 0 / 0.7)"),
  },
};

const style = (fontSize: string, lineHeight: string, rest: Record<string, string> = {}) => ({
  value: { fontSize, lineHeight, ...rest },
});

/** One type scale: 12, 13, 14, 16, 20 and 28 pixels. The names of sizes are those that Chakra's recipes use. */
export const textStyles = {
  caption: style("12px", "16px"),
  small: style("13px", "20px"),
  body: style("14px", "22px"),
  title: style("14px", "20px", { fontWeight: "600" }),
  lead: style("16px", "24px"),
  heading: style("20px", "28px", { fontWeight: "600", letterSpacing: "-0.012em" }),
  figure: style("28px", "36px", { fontWeight: "600", letterSpacing: "-0.02em", fontVariantNumeric: "tabular-nums" }),
  code: style("12.5px", "20px", { fontFamily: "{fonts.mono}" }),
  "2xs": style("11px", "14px"),
  xs: style("12px", "16px"),
  sm: style("13px", "20px"),
  md: style("14px", "22px"),
  lg: style("16px", "24px"),
  xl: style("20px", "28px"),
  "2xl": style("20px", "28px"),
};
