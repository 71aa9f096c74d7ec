// Values for a schema in which every setting is set, each to something else than its default.
import { fieldsOf, type Schema, type Shape, shapeOf } from "@/features/form/schema";
import { isSame, type Json, type Values } from "@/features/form/values";

export function sampleOf(schema: Schema, root: Schema, depth = 0): Values {
  const fields = fieldsOf(schema, root).map((field) => [
    field.name,
    sampleValue(shapeOf(field.schema, root), root, field.default, depth),
  ]);
  return Object.fromEntries(fields) as Values;
}

function sampleValue(shape: Shape, root: Schema, standard: Json | undefined, depth: number): Json {
  switch (shape.type) {
    case "text":
      return `text ${depth}`;
    case "number": {
      const start = shape.bounds.least ?? shape.bounds.above ?? 0;
      const value = start + (shape.whole ? 1 : 0.0625);
      return isSame(value, standard) ? start + (shape.whole ? 2 : 0.125) : value;
    }
    case "choice":
      return shape.options.find((one) => !isSame(one, standard)) ?? shape.options[0] ?? null;
    case "list":
      return depth > 3 ? [] : [sampleValue(shapeOf(shape.item, root), root, undefined, depth + 1)];
    case "map":
      return { one: sampleValue(shapeOf(shape.value, root), root, undefined, depth + 1) };
    case "object":
      return depth > 3 ? {} : sampleOf(shape.schema, root, depth + 1);
    case "variants": {
      const last = shape.variants.at(-1);
      return last ? { ...sampleOf(last.schema, root, depth + 1), kind: last.kind } : {};
    }
    case "either": {
      const inner = shape.shapes.at(-1);
      return inner ? sampleValue(inner, root, standard, depth) : (shape.words[0] ?? null);
    }
    case "json":
      return { any: [1, "two"] };
  }
}
