// The recipe that is being written: its steps, where it came from, and what is asked of the server for it.
import type { Shape } from "@/api/client";
import { differences, isSame, isValues, type Json, type Values, valueAt } from "../form";

export type Asked = Partial<Shape<"Asked">>;

export interface Draft {
  name: string;
  steps: Record<string, Values>;
  /** What it was when it was opened: a recipe by its name, a run, or one stage. */
  origin: { type: "recipe" | "run" | "stage" | "new"; name: string; values: Values | null };
  only: string[];
  force: string[];
  /** What is asked of the queue, as it was typed. */
  typed: Typed;
}

export interface Typed {
  priority: string;
  /** In minutes. */
  time: string;
}

export const NOTHING_TYPED: Typed = { priority: "", time: "" };

const stepsOf = (values: Values): Record<string, Values> =>
  Object.fromEntries(
    Object.entries(isValues(values.steps) ? values.steps : {}).filter((entry): entry is [string, Values] =>
      isValues(entry[1]),
    ),
  );

export const draftOf = (values: Values, origin: Draft["origin"]): Draft => ({
  name: typeof values.name === "string" ? values.name : "recipe",
  steps: stepsOf(values),
  origin,
  only: [],
  force: [],
  typed: NOTHING_TYPED,
});

export const draftOfStage = (stage: string, values: Values = {}): Draft => ({
  name: stage,
  steps: { [stage]: { stage, ...values } },
  origin: { type: "stage", name: stage, values: null },
  only: [],
  force: [],
  typed: NOTHING_TYPED,
});

export const stageOf = (step: Values): string => (typeof step.stage === "string" ? step.stage : "");

/** The settings of a step without its stage. */
export function settingsOf(step: Values): Values {
  const { stage: _, ...settings } = step;
  return settings;
}

/** Whether two drafts would run the same, whatever they began with. */
export function isSameDraft(one: Draft, other: Draft): boolean {
  const parts = ({ name, steps, only, force, typed }: Draft): Values => ({
    name,
    steps,
    only,
    force,
    typed: { ...typed },
  });
  return isSame(parts(one), parts(other));
}

/** What was edited, over what its origin is now: a recipe that has changed meanwhile must not run with values that the
 * form does not show. */
export function rebased(draft: Draft, before: Draft, start: Draft): Draft {
  return isSameDraft(draft, before) ? start : { ...draft, origin: start.origin };
}

export const valuesOf = (draft: Draft): Values => ({ name: draft.name, steps: draft.steps });

/** What is asked of the server. A named recipe is asked by its name with what differs, so that its command is short. */
export function askedOf(draft: Draft): Asked {
  const selection = { only: draft.only, force: draft.force };
  const { origin } = draft;
  const [only] = Object.values(draft.steps);
  if (origin.type === "stage" && only && Object.keys(draft.steps).length === 1)
    return { stage: stageOf(only), values: settingsOf(only), force: draft.force.length ? ["*"] : [] };
  const settings = origin.type === "recipe" && origin.values ? settingsFrom(origin.values, draft) : null;
  if (settings) return { recipe: origin.name, settings, ...selection };
  return { values: valuesOf(draft), ...selection };
}

/** `step.field=value` for all that differs; null where that cannot say it: a setting or a step was removed. */
function settingsFrom(before: Values, draft: Draft): string[] | null {
  const steps = stepsOf(before);
  const names = Object.keys(steps);
  const isSameSteps = names.length === Object.keys(draft.steps).length && names.every((name) => draft.steps[name]);
  if (!isSameSteps || before.name !== draft.name) return null;
  const paths = differences(steps, draft.steps);
  if (paths.some((path) => path.split(".").length < 2)) return null;
  const values = paths.map((path) => [path, valueAt(draft.steps, path.split("."))] as const);
  if (values.some(([, value]) => value === undefined)) return null;
  return values.map(([path, value]) => `${path}=${JSON.stringify(value)}`);
}

/** A name that no step has yet. */
export function freeName(steps: Record<string, unknown>, stage: string): string {
  let name = stage;
  for (let number = 2; Object.hasOwn(steps, name); number++) name = `${stage}_${number}`;
  return name;
}

/** A recipe in which a reference is another one, wherever it stands. */
export function withReference(values: Json, before: string, now: string): Json {
  if (values === before) return now;
  if (Array.isArray(values)) return values.map((one) => withReference(one, before, now));
  if (!isValues(values)) return values;
  return Object.fromEntries(Object.entries(values).map(([key, one]) => [key, withReference(one, before, now)]));
}

/** A recipe with the given data and model in the place of its own. A step that made its data, for no other, goes. */
export function filled(values: Values, { source, base }: { source?: string; base?: string }): Values {
  const steps = Object.values(stepsOf(values));
  const first = (field: string, ...schemes: string[]) =>
    schemes
      .flatMap((scheme) => steps.map((step) => valueAt(step, [field])).filter((one) => isText(one, scheme)))
      .find((one) => typeof one === "string");
  const own = { source: first("source", "file:", "step:"), base: first("base", "hub:", "builtin:") };
  let made: Json = values;
  if (source && own.source) made = withReference(made, own.source, source);
  if (base && own.base) made = withReference(made, own.base, base);
  if (!isValues(made)) return values;
  const [replaced] = source && own.source?.startsWith("step:") ? own.source.slice(5).split("/") : [];
  const left = Object.entries(stepsOf(made)).filter(([name]) => name !== replaced);
  return replaced && !JSON.stringify(left).includes(`"step:${replaced}`)
    ? { ...made, steps: Object.fromEntries(left) }
    : made;
}

const isText = (value: unknown, start: string): value is string => typeof value === "string" && value.startsWith(start);
