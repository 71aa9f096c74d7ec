// The control of a value, by its shape.

import type { Suggestion } from "./context";
import { Either } from "./either";
import { Choice, NumberInput, ReferenceInput, TextInput } from "./inputs";
import { JsonInput } from "./json";
import { List } from "./list";
import { MapInput } from "./map";
import { Nested, Variants } from "./nested";
import type { Schema, Shape } from "./schema";
import type { Json, Path } from "./values";

export interface ControlProps {
  shape: Shape;
  path: Path;
  schema: Schema;
  value: Json | undefined;
  standard: Json | undefined;
  onChange: (value: Json | undefined) => void;
  id: string;
  labelId: string;
  describedBy: string;
  invalid: boolean;
  required: boolean;
  suggestions: readonly Suggestion[] | null;
}

export function Control(props: ControlProps) {
  const { shape } = props;
  switch (shape.type) {
    case "text":
      return props.suggestions ? (
        <ReferenceInput {...props} suggestions={props.suggestions} />
      ) : (
        <TextInput {...props} words={shape.words} />
      );
    case "number":
      return <NumberInput {...props} />;
    case "choice":
      return <Choice {...props} options={shape.options} />;
    case "list":
      return <List {...props} shape={shape} />;
    case "map":
      return <MapInput {...props} shape={shape} />;
    case "object":
      return <Nested {...props} />;
    case "variants":
      return <Variants {...props} variants={shape.variants} />;
    case "either":
      return <Either {...props} shape={shape} />;
    case "json":
      return <JsonInput {...props} />;
  }
}
