import { expect, test } from "vitest";
import { loneOf, runName, valueText } from "@/features/compare/queries";
import { mergeSearch, partsOfSearch, searchOfParts } from "@/features/models/mergeSearch";
import { chosen } from "@/features/models/queries";
import { tabOf } from "@/ui/tabs";

test("an address names what is shown, and what is not there is not taken for something else", () => {
  const all = [{ ref: "a@1" }, { ref: "b@1" }];
  expect(chosen(all, undefined)?.ref).toBe("a@1");
  expect(chosen(all, "b@1")?.ref).toBe("b@1");
  expect(chosen(all, "gone@1")).toBeUndefined();
});

test("a tab that there is not gives the first", () => {
  const tabs = [{ value: "rows" }, { value: "profile" }];
  expect([undefined, "foo", "profile"].map((one) => tabOf(tabs, one))).toEqual(["rows", "rows", "profile"]);
});

test("what is merged stands in the address, and comes back from it", () => {
  const parts = [
    { adapter: "a.tune@1", weight: "0.7" },
    { adapter: "file:my, own", weight: "abc" },
    { adapter: "", weight: "0.5" },
  ];
  const search = mergeSearch(JSON.parse(JSON.stringify(searchOfParts(parts, "ties", "base"))));
  expect(partsOfSearch(search)).toEqual(parts);
  expect([search.method, search.into]).toEqual(["ties", "base"]);
  expect(partsOfSearch(mergeSearch({ adapters: ["a@1"] }))).toHaveLength(2);
  expect(searchOfParts(partsOfSearch({}), "linear", "adapter")).toEqual({});
});

test("steps of one run are named once, and values read as words", () => {
  expect(loneOf({ a: { only_in: "bot/1" }, b: { only_in: "bot/1" }, c: {} })).toEqual([["bot/1", ["a", "b"]]]);
  expect(runName("support-bot/12")).toBe("support-bot #12");
  expect(valueText({ train: 532, test: null }, String)).toBe("train 532, test –");
  expect(valueText([true, "x"], String)).toBe("true, x");
});
