// The fields of an object that are to be seen.
import { type FormState, isShown, matches, useForm } from "./context";
import { Setting } from "./field";
import { defaultIn, type Field, fieldsOf, type Schema, shapeOf, variantOf } from "./schema";
import { isValues, type Json, type Path } from "./values";

const DEEPEST = 8;

/** Whether a search finds a field, or one within it. */
function isFound(form: FormState, path: Path, field: Field, value: Json | undefined): boolean {
  if (matches(form.query, path, field.description, form.elsewhere)) return true;
  if (path.length > DEEPEST) return false;
  return within(form, field, value).some((one) => isFound(form, [...path, one.name], one, part(value, one.name)));
}

function within(form: FormState, field: Field, value: Json | undefined): Field[] {
  const shape = shapeOf(field.schema, form.root);
  if (shape.type === "object") return fieldsOf(shape.schema, form.root);
  if (shape.type !== "variants") return [];
  const variant = variantOf(shape.variants, value, field.default);
  return variant ? fieldsOf(variant.schema, form.root) : [];
}

const part = (value: Json | undefined, name: string): Json | undefined =>
  isValues(value) && Object.hasOwn(value, name) ? value[name] : undefined;

export function shownFields(form: FormState, schema: Schema, path: Path, values: Json | undefined): Field[] {
  const fields = fieldsOf(schema, form.root);
  const ordered = [...fields.filter((field) => field.required), ...fields.filter((field) => !field.required)];
  return ordered.filter((field) =>
    isShown(form, [...path, field.name], field, part(values, field.name), (at, one, value) =>
      isFound(form, at, one, value),
    ),
  );
}

/** Whether an object has a field that is set or wrong, so that it is unfolded. */
export function hasShown(form: FormState, schema: Schema, path: Path, values: Json | undefined): boolean {
  return shownFields({ ...form, expert: false, query: "" }, schema, path, values).length > 0;
}

export interface FieldsProps {
  schema: Schema;
  path: Path;
  values: Json | undefined;
  standard?: Json;
}

export function Fields({ schema, path, values, standard }: FieldsProps) {
  const form = useForm();
  return shownFields(form, schema, path, values).map((field) => (
    <Setting
      key={field.name}
      within={path}
      name={field.name}
      schema={field.schema}
      description={field.description}
      required={field.required}
      standard={defaultIn(standard, field)}
      value={part(values, field.name)}
    />
  ));
}
