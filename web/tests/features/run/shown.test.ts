import { expect, test } from "vitest";
import { answersOf, rowsIn } from "@/features/run/answers";
import { commandIn, quarantineIn } from "@/features/run/failure";
import { entriesOf, previewOf } from "@/features/run/files";
import { runSearch } from "@/features/run/search";
import { settingsOf } from "@/features/run/settings";

test("an address keeps what it can mean, and drops what it cannot", () => {
  expect(runSearch({ step: "tune", tab: "rows", at: "12", find: 7, file: "", more: 1 })).toEqual({
    step: "tune",
    tab: "rows",
    at: 12,
    find: "7",
  });
  expect(runSearch({ tab: "logs", level: "error", log: "console" })).toEqual({
    tab: "logs",
    level: "error",
    log: "console",
  });
  expect(runSearch({ tab: "rows", sort: "rise", side: "best" })).toEqual({ tab: "rows", sort: "rise", side: "best" });
  expect(runSearch({ at: "many", step: ["a"], sort: "toString", side: "left" })).toEqual({});
});

test("files are a tree with the sizes of its folders, and a closed folder hides what is in it", () => {
  const files = [
    { name: "run.log", bytes: 1 },
    { name: "out/b.json", bytes: 10 },
    { name: "out/deep/a.bin", bytes: 100 },
  ];
  const rows = (isOpen: (folder: string) => boolean) =>
    entriesOf(files, isOpen).map((one) => [one.depth, one.label, one.bytes]);
  expect(rows(() => true)).toEqual([
    [0, "out", 110],
    [1, "deep", 100],
    [2, "a.bin", 100],
    [1, "b.json", 10],
    [0, "run.log", 1],
  ]);
  expect(rows((folder) => folder !== "out")).toEqual([
    [0, "out", 110],
    [0, "run.log", 1],
  ]);
  expect(["a.jsonl", "x.png", "Modelfile", "m.safetensors"].map(previewOf)).toEqual(["text", "image", "text", "none"]);
});

test("what was chosen stands with its reason, at its place or after what was given", () => {
  const chosen = [
    { field: "dtype", value: "float32", reason: "small" },
    { field: "checkpoint.every", value: 6, reason: "a tenth" },
  ];
  expect(settingsOf({ dtype: "auto", method: { kind: "lora", targets: ["q", "v"] }, empty: {} }, chosen)).toEqual([
    { field: "dtype", value: "float32", reason: "small" },
    { field: "method.kind", value: "lora", reason: "" },
    { field: "method.targets", value: "q, v", reason: "" },
    { field: "empty", value: "{}", reason: "" },
    { field: "checkpoint.every", value: "6", reason: "a tenth" },
  ]);
});

test("rows of a file that was cut end with the last whole line, and bad lines are counted", () => {
  expect(rowsIn('{"id":"a"}\nbroken\n\n{"id":"b"}\n{"id":"c', true)).toEqual({
    rows: [{ id: "a" }, { id: "b" }],
    isCut: true,
    bad: 1,
  });
  expect(rowsIn('{"id":"a"}', false).rows).toEqual([{ id: "a" }]);
});

test("answers before and after are found in both shapes of samples", () => {
  expect(answersOf({ prompt: [], answer: "new", other_answer: "old", reference: "new" })).toMatchObject({
    before: "old",
    after: "new",
  });
  const item = answersOf({
    prompt: "q",
    answer: "new",
    scores: { exact_match: { value: 1, why: "" } },
    base: { answer: "old", scores: { exact_match: { value: 0, why: "differs" } } },
  });
  expect(item).toMatchObject({
    before: "old",
    scores: [{ name: "exact_match", value: 1 }],
    scoresBefore: [{ value: 0, why: "differs" }],
  });
  expect(answersOf({ text: "a row" })).toBeNull();
});

test("the command that a fix names is found, and a fix without one has none", () => {
  expect(commandIn("resume it: burnish runs resume demo/1")).toBe("burnish runs resume demo/1");
  expect(commandIn("run `burnish doctor --deep` first")).toBe("burnish doctor --deep");
  expect(commandIn("raise render.max_length")).toBeNull();
});

test("the bad rows that a fix names are a file of the step", () => {
  const fix = "see /w/runs/fails/1/data/scratch/quarantine.jsonl, fix the rows, or raise max_bad_share";
  expect(quarantineIn(fix, "fails/1/data")).toBe("scratch/quarantine.jsonl");
  expect(quarantineIn(fix, "other/1/data")).toBeNull();
  expect(quarantineIn("raise max_bad_share", "fails/1/data")).toBeNull();
});
