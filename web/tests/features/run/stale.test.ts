import { expect, test } from "vitest";
import { isStale } from "@/features/run/useRun";

const KEY = ["run", "demo", "1"];

test("what was read of a step before it ended is asked again, its curves are not", () => {
  const moved = new Map([["tune", 1000]]);
  const tabs = ["files", "proof", "rows", "answers", "seen"];
  expect(tabs.map((tab) => isStale([...KEY, "tune", tab], 990, moved))).toEqual(tabs.map(() => true));
  expect(isStale([...KEY, "tune", "curves"], 990, moved)).toBe(false);
  expect(isStale([...KEY, "tune", "files"], 1010, moved)).toBe(false);
  expect(isStale([...KEY, "score", "files"], 990, moved)).toBe(false);
  expect(isStale(KEY, 1010, moved)).toBe(true);
});
