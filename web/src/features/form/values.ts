// Values of settings as JSON has them, and changes of them at a path. Nothing is changed in place.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Values = { [key: string]: Json };
export type Path = readonly (string | number)[];

export const isValues = (value: Json | undefined): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const dotted = (path: Path): string => path.join(".");

export function valueAt(values: Json | undefined, path: Path): Json | undefined {
  let found: Json | undefined = values;
  for (const part of path) {
    if (Array.isArray(found)) found = found[Number(part)];
    else if (isValues(found) && Object.hasOwn(found, part)) found = found[part];
    else return undefined;
  }
  return found;
}

/** The values with another one at `path`; `undefined` removes it, so that its default counts again. */
export function withValue(values: Json | undefined, path: Path, value: Json | undefined): Json | undefined {
  const [part, ...rest] = path;
  if (part === undefined) return value;
  if (typeof part === "number" || Array.isArray(values)) {
    const list = Array.isArray(values) ? [...values] : [];
    const changed = withValue(list[Number(part)], rest, value);
    if (changed === undefined) list.splice(Number(part), 1);
    else list[Number(part)] = changed;
    return list;
  }
  const before = isValues(values) ? values : {};
  const changed = withValue(before[part], rest, value);
  if (changed !== undefined) return { ...before, [part]: changed };
  return Object.fromEntries(Object.entries(before).filter(([key]) => key !== part));
}

export function isSame(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((value, at) => isSame(value, other[at]));
  if (!isValues(one) || !isValues(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && isSame(one[key], other[key]))
  );
}

/** The paths at which two values differ, down to the single setting. A list is one setting, and so is another kind. */
export function differences(one: Json | undefined, other: Json | undefined, path: Path = []): string[] {
  if (isSame(one, other)) return [];
  if (!isValues(one) || !isValues(other) || one.kind !== other.kind) return [dotted(path)];
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].flatMap((key) => differences(one[key], other[key], [...path, key]));
}

/** A value in one short line, as YAML writes it. */
export function brief(value: Json | undefined, most = 60): string {
  const text = value === undefined ? "" : flow(value);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function flow(value: Json): string {
  if (value === null) return "null";
  if (typeof value === "number") return numeral(value);
  if (typeof value !== "object") return value === "" ? '""' : String(value);
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  return `{${Object.entries(value)
    .map(([key, one]) => `${key}: ${flow(one)}`)
    .join(", ")}}`;
}

/** A number as one reads it: 0.0002, 1e-8, 16384. */
export function numeral(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential() : String(value);
}

/** What was typed as a number; text that is none stays text, which the server refuses with its reason. */
export function typedNumber(text: string): number | string {
  const plain = text.trim().replaceAll("_", "");
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain)) return text.trim();
  const value = Number(plain);
  const isExact = !Number.isInteger(value) || Number.isSafeInteger(value);
  return Number.isFinite(value) && isExact ? value : plain;
}
