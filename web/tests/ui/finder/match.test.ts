import { expect, test } from "vitest";
import { best } from "@/ui/finder/match";

const items = ["Home", "Runs", "demo #12", "demo #1", "Merge", "first-adapter"].map((name) => ({ name, group: "" }));
const found = (typed: string) => best(typed, items, 10).map((item) => item.name);

test("nothing typed shows all, in their order", () => {
  expect(found("")).toEqual(items.map((item) => item.name));
});

test("a whole name comes before a beginning, and that before a part", () => {
  expect(found("demo #1")).toEqual(["demo #1", "demo #12"]);
  expect(found("me")).toEqual(["Merge", "Home"]);
});

test("letters in their order are enough, others find nothing", () => {
  expect(found("fad")).toEqual(["first-adapter"]);
  expect(found("xyz")).toEqual([]);
});
