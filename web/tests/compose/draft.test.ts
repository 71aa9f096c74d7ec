import { expect, test } from "vitest";
import { askedOf, draftOf, draftOfStage, filled, freeName, withReference } from "@/features/compose/draft";
import { pasted } from "@/features/compose/links";
import type { Values } from "@/features/form";
import { scoresOf } from "@/features/models/scores";

const recipe: Values = {
  name: "own",
  steps: {
    data: { stage: "prepare", source: "file:a.jsonl" },
    tune: { stage: "sft", data: "step:data", base: "builtin:pocket", method: { kind: "lora", rank: 8 } },
  },
};
const opened = () => draftOf(recipe, { type: "recipe", name: "own.yaml", values: recipe });

test("a recipe that was not changed is asked by its name", () => {
  expect(askedOf(opened())).toEqual({ recipe: "own.yaml", settings: [], only: [], force: [] });
});

test("what was changed or added is a setting of the recipe", () => {
  const draft = opened();
  draft.steps = { ...draft.steps, tune: { ...draft.steps.tune, method: { kind: "lora", rank: 16 }, epochs: 2 } };
  expect(askedOf(draft).settings).toEqual(["tune.method.rank=16", "tune.epochs=2"]);
});

test("another kind is given whole: settings of the first kind would stay otherwise", () => {
  const draft = opened();
  draft.steps = { ...draft.steps, tune: { ...draft.steps.tune, method: { kind: "full" } } };
  expect(askedOf(draft).settings).toEqual(['tune.method={"kind":"full"}']);
});

test("what settings cannot say is asked as the whole recipe: a removed setting, a removed step, another name", () => {
  const without = opened();
  without.steps = { ...without.steps, tune: { stage: "sft", data: "step:data", base: "builtin:pocket" } };
  const fewer = { ...opened(), steps: { data: opened().steps.data ?? {} } };
  const named = { ...opened(), name: "other" };
  for (const draft of [without, fewer, named])
    expect(askedOf(draft)).toEqual({ values: { name: draft.name, steps: draft.steps }, only: [], force: [] });
});

test("one stage is asked with its settings", () => {
  expect(askedOf(draftOfStage("sft", { base: "builtin:pocket" }))).toEqual({
    stage: "sft",
    values: { base: "builtin:pocket" },
    force: [],
  });
});

test("a reference is replaced wherever it stands, and a new step has a name of its own", () => {
  const before = { a: ["hub:x/y", { ref: "hub:x/y" }], b: "hub:x/y/z", c: 1 };
  expect(withReference(before, "hub:x/y", "hub:q/r")).toEqual({
    a: ["hub:q/r", { ref: "hub:q/r" }],
    b: "hub:x/y/z",
    c: 1,
  });
  expect(freeName({ sft: 1, sft_2: 1 }, "sft")).toBe("sft_3");
});

test.each([
  ["https://huggingface.co/datasets/owner/name", { type: "dataset", ref: "hub:owner/name" }],
  ["https://huggingface.co/Qwen/Qwen3-0.6B/tree/main", { type: "model", ref: "hub:Qwen/Qwen3-0.6B" }],
  ["hub:owner/name", { type: "model", ref: "hub:owner/name" }],
  ["file:rows.jsonl", { type: "file", ref: "file:rows.jsonl" }],
  ["https://example.org/rows.jsonl.gz", { type: "file", ref: "https://example.org/rows.jsonl.gz" }],
])("%s is known", (text, found) => {
  expect(pasted(` ${text} `)).toEqual(found);
});

test.each(["", "some words", "https://huggingface.co/docs/hub", "https://example.org/", "ftp://x/y.csv"])(
  "%j is no link that opens a form",
  (text) => {
    expect(pasted(text)).toBeNull();
  },
);

test("the scores of an evaluation have their comparison and interval; other measures are none", () => {
  const measures = {
    rows: 24,
    f1: 0.5,
    f1_base: 0.4,
    f1_delta: 0.1,
    f1_delta_low: -0.1,
    f1_delta_high: 0.3,
    f1_verdict: "better",
  };
  expect(scoresOf(measures)).toEqual([
    { name: "f1", value: 0.5, base: 0.4, delta: 0.1, low: -0.1, high: 0.3, verdict: "better", rows: null },
  ]);
});

test("data of one's own takes the place of a file, or of the step that makes the recipe's data", () => {
  const tune = { stage: "dpo", base: "builtin:pocket", data: "step:data" };
  const data = { stage: "prepare", source: "step:answers" };
  const made = { name: "dpo", steps: { answers: { stage: "synthesize" }, data, tune } };
  const source = "file:data/uploads/pairs.jsonl";
  expect(filled(made, { source }).steps).toEqual({ data: { stage: "prepare", source }, tune });
  const used = { ...made, steps: { ...made.steps, score: { stage: "evaluate", data: "step:answers/test" } } };
  expect(Object.keys(filled(used, { source }).steps as object)).toContain("answers");
  const ready = { name: "first", steps: { data: { stage: "prepare", source: "file:data.jsonl" }, tune } };
  expect(filled(ready, { source, base: "hub:a/b" }).steps).toEqual({
    data: { stage: "prepare", source },
    tune: { ...tune, base: "hub:a/b" },
  });
});
