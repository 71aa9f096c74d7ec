// Settings as lines: a nested setting is one line with dots in its name.
import type { Choice } from "./api";

export interface Setting {
  field: string;
  value: string;
  /** Why the value was chosen, where it was. */
  reason: string;
}

const plain = (value: unknown): string =>
  typeof value === "string"
    ? value
    : Array.isArray(value) && value.every((one) => typeof one === "string")
      ? value.join(", ")
      : JSON.stringify(value);

function* leaves(values: Record<string, unknown>, path = ""): Generator<[string, unknown]> {
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0)
      yield* leaves(value as Record<string, unknown>, `${path}${key}.`);
    else yield [path + key, value];
  }
}

/** What was given, and after it what was chosen for what was not given. */
export function settingsOf(given: Record<string, unknown>, chosen: readonly Choice[]): Setting[] {
  const reasons = new Map(chosen.map((one) => [one.field, one]));
  const settings: Setting[] = [];
  for (const [field, value] of leaves(given)) {
    const choice = reasons.get(field);
    reasons.delete(field);
    settings.push({ field, value: plain(choice ? choice.value : value), reason: choice?.reason ?? "" });
  }
  for (const { field, value, reason } of reasons.values()) settings.push({ field, value: plain(value), reason });
  return settings;
}
