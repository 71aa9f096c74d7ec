// What all fields of a form share: the schema, what is shown, the errors, and what references may be.

import { createContext, useContext } from "react";
import { helpText } from "@/i18n/help";
import { fieldName } from "@/i18n/names";
import type { Field, Schema } from "./schema";
import { dotted, type Json, type Path } from "./values";

export interface Suggestion {
  value: string;
  label?: string;
  group: string;
}

export interface FormState {
  root: Schema;
  change: (path: Path, value: Json | undefined) => void;
  expert: boolean;
  query: string;
  /** The names that other tools have for a setting, by its path. */
  elsewhere: Elsewhere;
  /** Paths of the settings that the basic view shows besides those that are required or set. */
  basic: ReadonlySet<string>;
  errors: ReadonlyMap<string, string>;
  /** What was there before, of a fork: settings that differ are marked. */
  before?: Json;
  /** What the setting at a path may refer to; null: it is no reference. */
  suggest: (path: string) => readonly Suggestion[] | null;
}

export const FormContext = createContext<FormState | null>(null);

export function useForm(): FormState {
  const form = useContext(FormContext);
  if (!form) throw new Error("a field stands outside of a form");
  return form;
}

export type Elsewhere = Readonly<Record<string, readonly string[]>>;

/** Whether a search finds a setting: by its name, its label, its help (also the English one), or its name elsewhere. */
export const matches = (query: string, path: Path, description: string, elsewhere: Elsewhere = {}): boolean => {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  const name = dotted(path);
  const names = [name, fieldName(String(path.at(-1) ?? "")), ...(elsewhere[name] ?? [])];
  const text = [...names, description, helpText(description)].join(" ").toLowerCase();
  return wanted.every((word) => text.includes(word));
};

const within = (paths: Iterable<string>, path: string) => {
  for (const one of paths) if (one === path || one.startsWith(`${path}.`)) return true;
  return false;
};

/** Whether a field is drawn. One that is set, wrong or required always is. */
export function isShown(
  form: FormState,
  path: Path,
  field: Field,
  value: Json | undefined,
  found: (path: Path, field: Field, value: Json | undefined) => boolean,
): boolean {
  if (field.name === "kind" && field.schema.const !== undefined) return false;
  if (form.query) return found(path, field, value);
  const name = dotted(path);
  if (form.expert || field.required || within(form.errors.keys(), name)) return true;
  return value !== undefined || within(form.basic, name);
}
