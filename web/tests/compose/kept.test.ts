import { beforeEach, expect, test } from "vitest";
import { askedOf, type Draft, draftOf, rebased } from "@/features/compose/draft";
import { dropDraft, keepDraft, keptDraft } from "@/features/compose/kept";
import { queuedOf } from "@/features/compose/typed";
import type { Values } from "@/features/form";

const recipe = (epochs: number): Values => ({ name: "own", steps: { tune: { stage: "sft", rank: 8, epochs } } });
const opened = (epochs = 1): Draft =>
  draftOf(recipe(epochs), { type: "recipe", name: "own.yaml", values: recipe(epochs) });
const edited = (draft: Draft, rank = 16): Draft => ({
  ...draft,
  steps: { tune: { ...draft.steps.tune, rank } },
});

beforeEach(() => sessionStorage.clear());

test("a draft in which nothing was edited is not kept: the recipe of the disk is shown", () => {
  keepDraft("a", opened(1), opened(1));
  expect(keptDraft("a", opened(5))).toEqual(opened(5));
});

test("a draft that was edited is kept, with what it asks of the queue, and each place keeps its own", () => {
  const draft = { ...edited(opened()), typed: { priority: "3", time: "90" } };
  keepDraft("a", opened(), draft);
  keepDraft("b", opened(), edited(opened(), 4));
  expect(keptDraft("a", opened())).toEqual(draft);
  expect(keptDraft("b", opened()).steps.tune?.rank).toBe(4);
  dropDraft("a");
  expect(keptDraft("a", opened())).toEqual(opened());
  keepDraft("b", opened(), opened()); // all was undone
  expect(keptDraft("b", opened(7))).toEqual(opened(7));
});

test("what the form shows is what runs, also when the recipe was changed on disk meanwhile", () => {
  keepDraft("a", opened(1), edited(opened(1)));
  const shown = keptDraft("a", opened(5));
  expect(shown.steps.tune).toEqual({ stage: "sft", rank: 16, epochs: 1 });
  expect(askedOf(shown).settings).toEqual(["tune.rank=16", "tune.epochs=1"]);
});

test("a recipe that changes while its form is open is shown anew where nothing was edited", () => {
  expect(rebased(opened(1), opened(1), opened(5))).toEqual(opened(5));
  expect(askedOf(rebased(edited(opened(1)), opened(1), opened(5))).settings).toEqual(["tune.rank=16", "tune.epochs=1"]);
});

test("a damaged store is no fault of the reader", () => {
  for (const text of ["{", "3", "null"]) {
    sessionStorage.setItem("burnish.drafts", text);
    expect(keptDraft("a", opened())).toEqual(opened());
  }
});

test.each([
  ["", "", { priority: 0, time_limit: null }],
  ["-5", "0.5", { priority: -5, time_limit: 30 }],
  [" 7 ", "90", { priority: 7, time_limit: 5400 }],
  ["high", "", null],
  ["1.5", "", null],
  ["", "2h", null],
  ["", "0,7", null],
  ["", "0", null],
])("a priority of %j and a time of %j", (priority, time, found) => {
  expect(queuedOf({ priority, time })).toEqual(found);
});
