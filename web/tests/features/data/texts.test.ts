import { expect, test } from "vitest";
import { added, removed, textsOf, withRole, withText } from "@/features/data/texts";

const CALL = { role: "assistant", content: null, tool_calls: [{ name: "f" }] };
const ROW = {
  id: 7,
  note: "kept",
  messages: [{ role: "user", content: "Hi", name: "Ann" }, CALL, { role: "assistant", content: "Hello" }],
};

test("the turns and fields of a row that are text can be edited, and nothing else changes", () => {
  expect(textsOf(ROW).map((one) => [one.label, one.text])).toEqual([
    ["user", "Hi"],
    ["assistant", "Hello"],
    ["note", "kept"],
  ]);
  const [first, second] = textsOf(ROW);
  expect(withText(ROW, second?.path ?? [], "Bye")).toEqual({
    ...ROW,
    messages: [ROW.messages[0], CALL, { role: "assistant", content: "Bye" }],
  });
  expect(withRole(ROW, first?.turn ?? -1, "system").messages).toEqual([
    { role: "system", content: "Hi", name: "Ann" },
    ...ROW.messages.slice(1),
  ]);
});

test("a turn is removed by its place among all turns, and a new one answers the last", () => {
  expect(removed(ROW, 2).messages).toEqual(ROW.messages.slice(0, 2));
  expect(added({ messages: [{ role: "user", content: "Hi" }] }).messages).toEqual([
    { role: "user", content: "Hi" },
    { role: "assistant", content: "" },
  ]);
});

test("a row without texts has none to edit", () => {
  expect(textsOf({ value: 3, messages: [{ content: "no role" }] })).toEqual([]);
});
