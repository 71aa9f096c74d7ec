// The scales of length and time that Chakra's recipes name: steps of 4 pixels, and a few widths.
type Values = Record<string, { value: string }>;

const rem = (pixels: number) => ({ value: `${pixels / 16}rem` });
const named = (values: Record<string, string>): Values =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));
const quarters = (steps: readonly number[]): Values => Object.fromEntries(steps.map((step) => [step, rem(step * 4)]));

export const spacing = quarters([
  0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80, 96,
]);

const widths = [224, 256, 320, 384, 448, 512, 576, 672, 768, 896, 1024];
const names = ["3xs", "2xs", "xs", "sm", "md", "lg", "xl", "2xl", "3xl", "4xl", "5xl"];

export const sizes: Values = {
  ...spacing,
  ...Object.fromEntries(names.map((name, at) => [name, rem(widths[at] ?? 0)])),
  ...named({
    full: "100%",
    fit: "fit-content",
    max: "max-content",
    min: "min-content",
    dvh: "100dvh",
    vh: "100vh",
    vw: "100vw",
    "1/2": "50%",
    "1/3": "33.333%",
    "2/3": "66.667%",
  }),
};

export const radii = named({ none: "0", "2xs": "1px", xs: "2px", sm: "4px", md: "6px", lg: "10px", full: "9999px" });
export const durations = named({
  fastest: "50ms",
  faster: "80ms",
  fast: "120ms",
  moderate: "160ms",
  slow: "220ms",
  slower: "300ms",
  slowest: "400ms",
});
export const easings = named({
  "ease-in-out": "cubic-bezier(0.4, 0, 0.2, 1)",
  "ease-in-smooth": "cubic-bezier(0.32, 0.72, 0, 1)",
});
export const borders = named({ xs: "0.5px solid", sm: "1px solid", md: "2px solid" });
export const cursor = named({
  button: "pointer",
  checkbox: "default",
  disabled: "not-allowed",
  menuitem: "default",
  option: "default",
  radio: "default",
  slider: "default",
  switch: "pointer",
});
export const animations = named({
  spin: "spin 0.9s linear infinite",
  pulse: "pulse 2s cubic-bezier(0.4, 0, 0.6, 1) infinite",
});
export const blurs = named({ none: " ", sm: "4px", md: "8px" });
export const zIndex = Object.fromEntries(
  ["docked", "dropdown", "sticky", "banner", "overlay", "modal", "popover", "skipNav", "toast", "tooltip"].map(
    (name, at) => [name, { value: at === 0 ? 10 : 900 + 100 * at }],
  ),
);
export const fontSizes = named({
  "2xs": "11px",
  xs: "12px",
  sm: "13px",
  md: "14px",
  lg: "16px",
  xl: "20px",
  "2xl": "28px",
});
export const fontWeights = named({ normal: "400", medium: "500", semibold: "600", bold: "650" });
export const lineHeights = named({ shorter: "1.25", short: "1.375", moderate: "1.5", tall: "1.6" });
