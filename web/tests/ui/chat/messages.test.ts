import { expect, test } from "vitest";
import { conversationOf, stretchesOf } from "@/ui/chat/messages";

test("a row of messages keeps its roles, its parts and its tool calls", () => {
  const [user, assistant] = conversationOf({
    messages: [
      { role: "user", content: [{ type: "text", text: "Move it" }, { type: "image" }] },
      { role: "assistant", content: "", tool_calls: [{ function: { name: "move", arguments: '{"a":1}' } }] },
    ],
  });
  expect(user).toMatchObject({ role: "user", text: "Move it\n[image]" });
  expect(assistant?.calls).toEqual([{ name: "move", arguments: '{\n  "a": 1\n}' }]);
});

test("arguments that are no JSON are shown as they are", () => {
  const [one] = conversationOf({
    messages: [{ role: "assistant", tool_calls: [{ name: "f", arguments: "{broken" }] }],
  });
  expect(one?.calls[0]).toEqual({ name: "f", arguments: "{broken" });
});

test("preferences are a prompt with both answers, a text is a text, and other rows have none", () => {
  const roles = (row: Record<string, unknown>) => conversationOf(row).map((one) => one.role);
  expect(roles({ prompt: [{ role: "user", content: "q" }], chosen: "a", rejected: "b" })).toEqual([
    "user",
    "chosen",
    "rejected",
  ]);
  expect(roles({ text: "once" })).toEqual(["text"]);
  expect(roles({ value: 3 })).toEqual([]);
});

test("tokens of one weight are one stretch, and none is lost", () => {
  const found = stretchesOf([
    ["a", 0],
    ["b", 0],
    ["c", 1],
    ["d", 0.5],
  ]);
  expect(found.map((one) => [one.text, one.weight, one.tokens])).toEqual([
    ["ab", 0, 2],
    ["c", 1, 1],
    ["d", 0.5, 1],
  ]);
});
