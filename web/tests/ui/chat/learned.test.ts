import { expect, test } from "vitest";
import { learnedParts, type Piece } from "@/ui/chat/learned";
import { conversationOf } from "@/ui/chat/messages";

const chat = (...turns: [string, string][]) =>
  conversationOf({ messages: turns.map(([role, content]) => ({ role, content })) });
const learned = (parts: { text: string; weight: number }[][]) =>
  parts.map((one) =>
    one
      .filter((part) => part.weight !== 0)
      .map((part) => part.text)
      .join("|"),
  );

test("of a conversation, what is learned is found again, with the end of the turn", () => {
  const pieces: Piece[] = [
    ["<|user|>", 0],
    ["2 + 2 is ", 0],
    ["4?", 0],
    ["<|end|><|assistant|>", 0],
    ["4", 1],
    ["?", 1],
    ["<|end|>", 1],
    ["\n", 0],
  ];
  const parts = learnedParts(chat(["user", "2 + 2 is 4?"], ["assistant", "4?"]), [pieces]);
  expect(learned(parts)).toEqual(["", "4?|<|end|>"]);
  expect(parts[1]?.map((one) => one.isSaid)).toEqual([true, false]);
});

test("what the template writes before an answer belongs to the answer", () => {
  const pieces: Piece[] = [
    ["Hi", 0],
    ["<|assistant|>", 0],
    ["<think></think>", 1],
    ["Hello", 1],
  ];
  expect(learned(learnedParts(chat(["user", "Hi"], ["assistant", " Hello "]), [pieces]))).toEqual([
    "",
    "<think></think>|Hello",
  ]);
});

test("a call of a tool is shown as the template writes it", () => {
  const pieces: Piece[] = [
    ["Go", 0],
    ["<|assistant|>", 0],
    ['{"name": "move"}', 1],
    ["<|tool|>", 0],
    ["done", 0],
  ];
  const row = chat(["user", "Go"], ["assistant", ""], ["tool", "done"]);
  expect(learned(learnedParts(row, [pieces]))).toEqual(["", '{"name": "move"}', ""]);
});

test("a text that the template has changed has no parts", () => {
  expect(learnedParts(chat(["user", "HELLO"]), [[["hello", 0]]])).toEqual([[]]);
});

test("each answer of a pair is found in its own sample", () => {
  const row = conversationOf({ prompt: "q", chosen: "good", rejected: "bad" });
  const parts = learnedParts(row, [
    [
      ["q", 0],
      ["good", 1],
    ],
    [
      ["q", 0],
      ["bad", -1],
    ],
  ]);
  expect(learned(parts)).toEqual(["", "good", "bad"]);
});
