import { ChakraProvider } from "@chakra-ui/react";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, beforeAll, expect, test } from "vitest";
import { SettingsForm } from "@/features/form/form";
import { fieldsOf, resolved, type Schema, shapeOf } from "@/features/form/schema";
import { isValues, type Json, type Values, valueAt } from "@/features/form/values";
import { startLanguage } from "@/i18n";
import { system } from "@/theme/system";
import { sampleOf } from "./sample";
import { schemasOfStages } from "./stages";

const schemas = schemasOfStages();
const all = Object.entries(schemas);

beforeAll(() => startLanguage());
afterEach(cleanup);

interface HeldProps {
  schema: Schema;
  start: Values;
  onChange: (values: Values) => void;
  expert: boolean;
  query: string;
}

/** A form that keeps what is typed. */
function Held({ schema, start, onChange, expert, query }: HeldProps) {
  const [held, setHeld] = useState(start);
  const keep = (changed: Values) => {
    onChange(changed);
    setHeld(changed);
  };
  return <SettingsForm schema={schema} values={held} onChange={keep} expert={expert} query={query} />;
}

/** All values that the form gives. */
function shown(schema: Schema, start: Values, expert = true, query = "") {
  const changes: Values[] = [];
  const keep = (changed: Values) => void changes.push(changed);
  render(
    <ChakraProvider value={system}>
      <Held schema={schema} start={start} onChange={keep} expert={expert} query={query} />
    </ChakraProvider>,
  );
  return changes;
}

const settings = () => [...document.querySelectorAll("[data-setting]")].map((one) => one.getAttribute("data-setting"));

test.each(all)("the basic form of %s has the settings that must be set", (_, schema) => {
  shown(schema, {}, false);
  const required = fieldsOf(schema, schema).flatMap((field) => (field.required ? [field.name] : []));
  expect(settings().filter((one) => !one?.includes("."))).toEqual(required);
});

test.each(all)("the expert form of %s has every setting; a number changes alone, and can be cleared", (_, schema) => {
  const changes = shown(schema, {});
  const fields = fieldsOf(schema, schema);
  expect(settings()).toEqual(expect.arrayContaining(fields.map((one) => one.name)));
  for (const { name, schema: own } of fields) {
    if (shapeOf(own, schema).type !== "number") continue;
    const input = field(name).querySelector("input") as HTMLInputElement;
    fireEvent.change(input, { target: { value: "7" } });
    expect(changes.at(-1)).toEqual({ [name]: 7 });
    fireEvent.change(input, { target: { value: "" } });
    expect(changes.at(-1)).toEqual({});
  }
});

test.each(all)("a form of %s with every setting set shows them all, and changes none", (_, schema) => {
  const values = sampleOf(schema, schema);
  const changes = shown(schema, values);
  const missing = leaves(schema, schema, values).filter((path) => !settings().includes(path));
  expect(missing).toEqual([]);
  expect(changes).toEqual([]);
});

/** The paths of the settings of values: those of objects within as well. */
function leaves(schema: Schema, root: Schema, values: Values, path = ""): string[] {
  return fieldsOf(schema, root).flatMap((field) => {
    const value = values[field.name];
    const shape = shapeOf(field.schema, root);
    const name = `${path}${field.name}`;
    if (field.name === "kind" && field.schema.const !== undefined) return [];
    if (shape.type === "object" && isValues(value)) return [name, ...leaves(shape.schema, root, value, `${name}.`)];
    return [name];
  });
}

test("no schema of a stage has a part that a form can show only as JSON, but for values of any kind", () => {
  const untyped: string[] = [];
  const look = (schema: Schema, root: Schema, at: string, depth = 0) => {
    if (depth > 6) return;
    for (const field of fieldsOf(schema, root)) {
      const shape = shapeOf(field.schema, root);
      const name = `${at}.${field.name}`;
      if (shape.type === "json") untyped.push(name);
      if (shape.type === "object") look(shape.schema, root, name, depth + 1);
      if (shape.type === "list") look(shape.item, root, `${name}[]`, depth + 1);
      if (shape.type === "variants")
        for (const one of shape.variants) look(one.schema, root, `${name}.${one.kind}`, depth + 1);
    }
  };
  for (const [name, schema] of all) look(schema, schema, name);
  expect(untyped).toEqual([]);
});

const sft = () => schemas.sft as Schema;
const field = (name: string): HTMLElement => {
  const found = document.querySelector(`[data-setting="${name}"]`);
  if (!(found instanceof HTMLElement)) throw new Error(`the form has no ${name}`);
  return found;
};

test("a number is kept as it was typed, and text that is no number is given to the server", () => {
  const changes = shown(sft(), {});
  const input = field("learning_rate").querySelector("input") as HTMLInputElement;
  const typed: Json[] = ["4.0e-3", "1_000", ".5", "abc", "1e", "123456789012345678901"];
  for (const text of typed) fireEvent.change(input, { target: { value: text } });
  expect(changes.map((one) => one.learning_rate)).toEqual([0.004, 1000, 0.5, "abc", "1e", "123456789012345678901"]);
  expect(input.value).toBe("123456789012345678901");
});

test("another kind of method keeps what both have, and the first kind comes back whole", () => {
  const changes = shown(sft(), { method: { kind: "lora", rank: 8, rslora: true } });
  const select = field("method").querySelector("select") as HTMLSelectElement;
  fireEvent.change(select, { target: { value: "full" } });
  expect(changes.at(-1)).toEqual({ method: { kind: "full" } });
  fireEvent.change(select, { target: { value: "lora" } });
  expect(changes.at(-1)).toEqual({ method: { kind: "lora", rank: 8, rslora: true } });
});

test("settings that may be off are switched on and off, and keep what was set", async () => {
  const changes = shown(sft(), { early_stop: { patience: 9 } });
  const turn = field("early_stop").querySelector("input[type=checkbox]") as HTMLInputElement;
  await userEvent.click(turn);
  expect(changes.at(-1)).toEqual({});
  await userEvent.click(turn);
  expect(changes.at(-1)).toEqual({ early_stop: { patience: 9 } });
});

test("a search finds settings within settings by their name and their help", () => {
  shown(sft(), {}, false, "warmup");
  expect(settings()).toContain("schedule.warmup");
  expect(settings()).not.toContain("learning_rate");
  cleanup();
  shown(sft(), {}, false, "no such words");
  expect(screen.getByText(/no such words/)).toBeTruthy();
});

test("an error stands at its field, also where the basic view would not show it", () => {
  render(
    <ChakraProvider value={system}>
      <SettingsForm schema={sft()} values={{}} onChange={() => {}} errors={new Map([["checkpoint.keep", "too few"]])} />
    </ChakraProvider>,
  );
  expect(field("checkpoint.keep").textContent).toContain("too few");
});

test("what a fork changed is marked with what was there", () => {
  render(
    <ChakraProvider value={system}>
      <SettingsForm schema={sft()} values={{ epochs: 2 }} before={{ epochs: 1 }} onChange={() => {}} />
    </ChakraProvider>,
  );
  expect(field("epochs").textContent).toContain("was 1");
});

test("every description that a schema has is in the form", () => {
  shown(sft(), {});
  const text = document.body.textContent?.replaceAll(/\s+/g, "") ?? "";
  for (const one of fieldsOf(sft(), sft()))
    expect(text, one.name).toContain(one.description.replaceAll("`", "").replaceAll(/\s+/g, ""));
});

test("the samples that these tests use are values of the schemas", () => {
  for (const [name, schema] of all)
    for (const required of resolved(schema, schema).required ?? [])
      expect(valueAt(sampleOf(schema, schema), [required]), `${name}.${required}`).toBeDefined();
});
