import { beforeEach, expect, test } from "vitest";
import {
  type Chat,
  earlierChats,
  emptyChat,
  isComparable,
  keepChat,
  keptChat,
  messagesFor,
  newTurn,
  parametersOf,
} from "@/features/playground/chat";
import { formOf, leftOut } from "@/features/playground/forms";

beforeEach(() => localStorage.clear());

function answered(prompt: string, texts: Record<string, string>, voted: number | null = null) {
  const turn = newTurn(prompt, Object.keys(texts), false, undefined);
  const answers = turn.answers.map((one) => ({ ...one, state: "done" as const, text: texts[one.model] ?? "" }));
  return { ...turn, answers, voted };
}

const chatOf = (...turns: Chat["turns"]): Chat => ({ ...emptyChat(), system: "Be brief.", turns });

test("each model continues its own answers", () => {
  const chat = chatOf(answered("Hi", { a: "Hello", b: "Hey" }), answered("Bye", { a: "So long", b: "Later" }));
  expect(messagesFor(chat, 1, "b").map((one) => one.content)).toEqual(["Be brief.", "Hi", "Hey", "Bye"]);
  expect(isComparable(chat, 0)).toBe(true);
  expect(isComparable(chat, 1)).toBe(false); // another conversation: no preference between its answers
});

test("after a vote all continue the answer that was preferred", () => {
  const chat = chatOf(answered("Hi", { a: "Hello", b: "Hey" }, 1), answered("Bye", { a: "So long", b: "Later" }));
  expect(messagesFor(chat, 1, "a").map((one) => one.content)).toEqual(["Be brief.", "Hi", "Hey", "Bye"]);
  expect(isComparable(chat, 1)).toBe(true);
});

test("an answer that is still written or failed cannot be voted on", () => {
  const turn = answered("Hi", { a: "Hello", b: "Hey" });
  const failed = { ...turn, answers: turn.answers.map((one) => ({ ...one, state: "failed" as const })) };
  expect(isComparable(chatOf(failed), 0)).toBe(false);
  expect(isComparable(chatOf(answered("Hi", { a: "Hello" })), 0)).toBe(false);
});

test("hidden models keep their seats until a vote says who they are", () => {
  const first = { ...newTurn("Hi", ["a", "b", "c", "d"], true, undefined), order: [3, 1, 0, 2] };
  expect(newTurn("Bye", ["a", "b", "c", "d"], true, first).order).toEqual([3, 1, 0, 2]);
  expect(newTurn("Bye", ["a", "b"], true, first).order.toSorted()).toEqual([0, 1]);
});

test("a conversation is there after a reload, and what was being written has stopped", () => {
  const chat = chatOf(newTurn("Hi", ["a"], false, undefined));
  keepChat("x", chat, ["a"]);
  expect(keptChat("x")?.turns[0]?.answers[0]?.state).toBe("stopped");
  expect(earlierChats().map((one) => [one.id, one.title])).toEqual([["x", "Hi"]]);
  expect(keptChat("other")).toBeNull();
  for (let at = 0; at < 20; at++) keepChat(`n${at}`, chat, ["a"]);
  expect(earlierChats()).toHaveLength(12);
});

test("only what was typed is sent, and what is no number is not made one", () => {
  const sampling = { ...emptyChat().sampling, temperature: "0", top_p: "much", seed: "7" };
  expect(parametersOf(sampling)).toEqual({ params: { max_tokens: 256, temperature: 0, top_p: "much" }, seed: 7 });
});

test("the same as a command, in Python and with curl", () => {
  const chat = { ...emptyChat(), system: "It's brief", sampling: { ...emptyChat().sampling, temperature: "0.5" } };
  expect(formOf("cli", chat, "Say 'hi'", ["a@1"])).toBe(
    `burnish chat a@1 --ask 'Say '\\''hi'\\''' --system 'It'\\''s brief' --max-new-tokens 256 --temperature 0.5`,
  );
  expect(formOf("curl", chat, "Hi", ["a@1", "b@2"])).toContain('"models": [');
  expect(formOf("python", chat, "Hi", ["a@1"])).toContain("json.loads(r");
});

test("the command draws as the page does, and what it leaves out is named", () => {
  const sampling = { ...emptyChat().sampling, max_tokens: "", top_p: "0.9", top_k: "5", min_p: "0.1", seed: "7" };
  const chat = { ...chatOf(answered("Hi", { a: "Hello" })), system: "", sampling };
  expect(formOf("cli", chat, "Bye", ["a"])).toBe("burnish chat a --ask Bye --top-p 0.9 --temperature 1 --seed 7");
  expect(leftOut("cli", chat)).toEqual(["top_k", "min_p", "turns"]);
  expect(leftOut("curl", chat)).toEqual([]);
  const greedy = { ...chat, turns: [], sampling: { ...emptyChat().sampling, temperature: "0", seed: "7" } };
  expect(formOf("cli", greedy, "Bye", ["a"])).toBe(
    "burnish chat a --ask Bye --max-new-tokens 256 --temperature 0", // which takes no seed there
  );
});
