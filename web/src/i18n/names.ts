// What is known by a name of the server (a code, a stage, a measure, a field), as it is called in the language of the
// page. A name that no catalogue has is shown as the server says it.
import i18next from "i18next";

export interface Names {
  errors: Record<string, string>;
  stages: Record<string, string>;
  recipes: Record<string, string>;
  measures: Record<string, string>;
  fields: Record<string, string>;
}

export const NAMES = "names";

function named(kind: keyof Names, name: string): string | undefined {
  const names = i18next.getResourceBundle(i18next.language, NAMES) as Partial<Names> | undefined;
  const known = names?.[kind];
  return known && Object.hasOwn(known, name) ? known[name] : undefined;
}

/** `learning_rate` as words. */
export const words = (name: string): string => name.replaceAll("_", " ");

export const errorName = (code: string): string | undefined => named("errors", code);
export const measureName = (key: string): string => named("measures", key) ?? words(key);
export const stageSummary = (stage: { name: string; summary: string }): string =>
  named("stages", stage.name) ?? stage.summary;
export const recipeSummary = (recipe: { name: string; origin: string; summary: string }): string =>
  (recipe.origin === "shipped" ? named("recipes", recipe.name) : undefined) ?? recipe.summary;

/** A setting as a label: `learning_rate` is *Learning rate*. */
export function fieldName(name: string): string {
  const label = words(name);
  return named("fields", name) ?? label.charAt(0).toUpperCase() + label.slice(1);
}
