// Numbers, times and sizes as people read them, in their language.
import i18next from "i18next";
import { serverNow } from "@/api/clock";
import { power } from "./chart/numbers";

const language = () => i18next.language || "en";

/** A formatter of the language for each set of options: to make one takes longer than to use it a hundred times. */
function kept<Options, Formatter>(Kind: new (language: string, options: Options) => Formatter) {
  const made = new Map<string, Formatter>();
  return (options: Options): Formatter => {
    const key = language() + JSON.stringify(options);
    const found = made.get(key) ?? new Kind(language(), options);
    made.set(key, found);
    return found;
  };
}

const numbers = kept<Intl.NumberFormatOptions, Intl.NumberFormat>(Intl.NumberFormat);
const dates = kept<Intl.DateTimeFormatOptions, Intl.DateTimeFormat>(Intl.DateTimeFormat);
const spans = kept<Intl.RelativeTimeFormatOptions, Intl.RelativeTimeFormat>(Intl.RelativeTimeFormat);

/** A whole number with separators: 12,345. */
export const count = (value: number): string => numbers({ maximumFractionDigits: 0 }).format(value);

/** A measured value with four significant digits: 0.9734, 12,345; a very small one with three, as charts have it:
 * 1.23e−5. */
export function measure(value: unknown): string {
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (Number.isInteger(value)) return sign + numbers({}).format(size);
  if (size < 1e-3) return sign + power(size);
  if (size >= 1e4) return sign + numbers({ maximumFractionDigits: 0 }).format(size);
  return sign + numbers({ maximumSignificantDigits: 4 }).format(size);
}

/** A difference with its sign: +0.24, −0.03. */
export const signed = (value: number): string => `${value > 0 ? "+" : value < 0 ? "−" : ""}${measure(Math.abs(value))}`;

/** A part of one: 42%. What is not quite nothing or all is not shown as that: <1%, >99%. */
export function percent(value: number): string {
  const { format } = numbers({ style: "percent", maximumFractionDigits: 0 });
  if (value > 0 && value < 0.01) return `<${format(0.01)}`;
  if (value < 1 && value > 0.99) return `>${format(0.99)}`;
  return format(value);
}

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** A size in units of 1,000 bytes, as disks are sold: 1.9 MB. */
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${numbers({ maximumFractionDigits: unit && size < 99.5 ? 1 : 0 }).format(size)} ${UNITS[unit]}`;
}

/** A duration in its two largest units: 850 ms, 12.3 s, 4m 05s, 2h 10m, 3d 4h. */
export function duration(seconds: number): string {
  if (seconds < 0.9995) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 59.95) return `${numbers({ maximumFractionDigits: seconds < 9.95 ? 1 : 0 }).format(seconds)} s`;
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`;
}

/** How long ago on the server's clock: 3 minutes ago, yesterday. `at` is in seconds since 1970. */
export function ago(at: number, now = serverNow()): string {
  const format = spans({ numeric: "auto", style: "short" });
  const past = Math.min(0, Math.round(at - now));
  if (past > -45) return format.format(0, "second");
  if (past > -3_600 + 30) return format.format(Math.round(past / 60), "minute");
  if (past > -86_400 + 1_800) return format.format(Math.round(past / 3_600), "hour");
  if (past > -2_592_000) return format.format(Math.round(past / 86_400), "day");
  return dates({ dateStyle: "medium" }).format(at * 1000);
}

/** The whole date and time. */
export const moment = (at: number): string => dates({ dateStyle: "medium", timeStyle: "medium" }).format(at * 1000);
