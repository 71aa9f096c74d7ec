// What a JSON Schema of settings means for a form: one level at a time, as pydantic writes schemas of this project.
import { isValues, type Json, type Values } from "./values";

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  title?: string;
  description?: string;
  default?: Json;
  const?: Json;
  enum?: Json[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  propertyNames?: Schema;
  items?: Schema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  minProperties?: number;
  pattern?: string;
  discriminator?: unknown;
}

export interface Bounds {
  least?: number;
  most?: number;
  above?: number;
  below?: number;
}

export interface Variant {
  kind: string;
  schema: Schema;
}

/** How one value is edited. Schemas within are looked at when they are drawn, so that one may contain itself. */
export type Shape =
  | { type: "text"; words: string[] }
  | { type: "number"; whole: boolean; bounds: Bounds }
  | { type: "choice"; options: Json[] }
  | { type: "list"; item: Schema; least: number }
  | { type: "map"; value: Schema; names?: Schema }
  | { type: "object"; schema: Schema }
  | { type: "variants"; variants: Variant[] }
  | { type: "either"; words: Json[]; shapes: Shape[] }
  | { type: "json" };

export interface Field {
  name: string;
  schema: Schema;
  description: string;
  required: boolean;
  default: Json | undefined;
}

/** The schema behind a reference; what stands beside the reference, such as a default, counts more. */
export function resolved(schema: Schema, root: Schema): Schema {
  if (!schema.$ref) return schema;
  const { $ref, ...beside } = schema;
  const found = root.$defs?.[$ref.replace("#/$defs/", "")];
  return found ? { ...resolved(found, root), ...beside } : beside;
}

export function fieldsOf(schema: Schema, root: Schema): Field[] {
  const { properties = {}, required = [] } = resolved(schema, root);
  return Object.entries(properties).map(([name, property]) => ({
    name,
    schema: property,
    description: property.description ?? resolved(property, root).description ?? "",
    required: required.includes(name),
    default: property.default,
  }));
}

const isNull = (schema: Schema) => schema.type === "null";

export const isNullable = (schema: Schema): boolean => schema.anyOf?.some(isNull) ?? false;

export function shapeOf(given: Schema, root: Schema): Shape {
  const schema = resolved(given, root);
  const many = schema.anyOf ?? schema.oneOf;
  if (many)
    return shapeOfMany(
      many.filter((one) => !isNull(one)),
      root,
    );
  if (schema.const !== undefined) return { type: "choice", options: [schema.const] };
  if (schema.enum) return { type: "choice", options: schema.enum };
  switch (schema.type) {
    case "boolean":
      return { type: "choice", options: [true, false] };
    case "string":
      return { type: "text", words: [] };
    case "integer":
    case "number":
      return { type: "number", whole: schema.type === "integer", bounds: boundsOf(schema) };
    case "array":
      return { type: "list", item: schema.items ?? {}, least: schema.minItems ?? 0 };
    case "object":
      return schema.properties
        ? { type: "object", schema }
        : { type: "map", value: valueSchema(schema), names: schema.propertyNames };
    default:
      return { type: "json" };
  }
}

const valueSchema = ({ additionalProperties: value }: Schema): Schema => (typeof value === "object" ? value : {});

const boundsOf = (schema: Schema): Bounds => ({
  least: schema.minimum,
  most: schema.maximum,
  above: schema.exclusiveMinimum,
  below: schema.exclusiveMaximum,
});

function shapeOfMany(many: Schema[], root: Schema): Shape {
  const [only] = many;
  if (only && many.length === 1) return shapeOf(only, root);
  const variants = many.map((one) => ({ kind: kindOf(one, root), schema: one }));
  if (variants.every((one): one is Variant => one.kind !== undefined)) return { type: "variants", variants };
  const shapes = many.map((one) => shapeOf(one, root));
  const words = shapes.flatMap((shape) => (shape.type === "choice" ? shape.options : []));
  const rest = shapes.filter((shape) => shape.type !== "choice");
  const [first] = rest;
  if (!first) return { type: "choice", options: words };
  if (first.type === "text" && rest.length === 1)
    return { type: "text", words: words.filter((word): word is string => typeof word === "string") };
  return { type: "either", words, shapes: rest };
}

/** The `kind` of a variant. */
function kindOf(given: Schema, root: Schema): string | undefined {
  const value = resolved(given, root).properties?.kind?.const;
  return typeof value === "string" ? value : undefined;
}

/** Which variant a value is: by its `kind`, else that of the default, else the first. */
export function variantOf(
  variants: Variant[],
  value: Json | undefined,
  standard: Json | undefined,
): Variant | undefined {
  const kind = (isValues(value) ? value.kind : undefined) ?? (isValues(standard) ? standard.kind : undefined);
  return variants.find((one) => one.kind === kind) ?? (kind === undefined ? variants[0] : undefined);
}

/** The settings of another variant: those that both have are kept. */
export function asVariant(variant: Variant, value: Json | undefined, root: Schema): Values {
  const known = new Set(Object.keys(resolved(variant.schema, root).properties ?? {}));
  const kept = Object.entries(isValues(value) ? value : {}).filter(([key]) => key !== "kind" && known.has(key));
  return { kind: variant.kind, ...Object.fromEntries(kept) };
}

/** Whether a shape can hold a value: which alternative of several it is. */
export function holds(shape: Shape, value: Json | undefined): boolean {
  switch (shape.type) {
    case "text":
      return typeof value === "string";
    case "number":
      return typeof value === "number";
    case "choice":
      return shape.options.includes(value ?? null);
    case "list":
      return Array.isArray(value);
    case "map":
    case "object":
    case "variants":
      return isValues(value);
    case "either":
      return shape.words.includes(value ?? null) || shape.shapes.some((one) => holds(one, value));
    case "json":
      return true;
  }
}

/** What a shape begins with when it is chosen. */
export function startOf(shape: Shape, root: Schema, standard?: Json): Json {
  if (standard !== undefined && standard !== null && holds(shape, standard)) return standard;
  switch (shape.type) {
    case "text":
      return "";
    case "number":
      return shape.bounds.least ?? (shape.bounds.above !== undefined ? Math.max(1, shape.bounds.above) : 0);
    case "choice":
      return shape.options[0] ?? null;
    case "list":
      return Array.from({ length: shape.least }, () => startOf(shapeOf(shape.item, root), root));
    case "variants":
      return { kind: shape.variants[0]?.kind ?? "" };
    case "either":
      return shape.words[0] ?? (shape.shapes[0] ? startOf(shape.shapes[0], root) : null);
    default:
      return {};
  }
}

/** The default of a field within an object: that of the object, where it says one. */
export function defaultIn(standard: Json | undefined, field: Field): Json | undefined {
  return isValues(standard) && Object.hasOwn(standard, field.name) ? standard[field.name] : field.default;
}
