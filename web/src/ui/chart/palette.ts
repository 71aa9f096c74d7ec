// The colours of the theme as a canvas takes them.

export interface Palette {
  series: (seat: number) => string;
  text: string;
  grid: string;
  line: string;
  panel: string;
  danger: string;
  accent: string;
}

/** Read where the chart stands, since a canvas knows no variables. */
export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--b-colors-${name}`).trim() || "#888888";
  return {
    series: (seat) => colour(`series-${((seat - 1) % 6) + 1}`),
    text: colour("fg-subtle"),
    grid: colour("border-muted"),
    line: colour("border-emphasized"),
    panel: colour("bg-panel"),
    danger: colour("danger-fg"),
    accent: colour("accent-solid"),
  };
}

/** A colour of six hexadecimal digits, seen through. */
export const faded = (colour: string, alpha: number): string =>
  /^#[0-9a-f]{6}$/i.test(colour)
    ? `${colour}${Math.round(alpha * 255)
        .toString(16)
        .padStart(2, "0")}`
    : colour;
