// A conversation with several models at once: its turns, what each model hears of them, and how it is kept.
import { shuffled } from "./ask";

export interface Answer {
  model: string;
  text: string;
  state: "waiting" | "loading" | "answering" | "done" | "stopped" | "failed";
  note: string;
  tokens: number | null;
  seconds: number | null;
}

export interface Turn {
  prompt: string;
  answers: Answer[];
  /** The places of the answers in the order in which they are shown. */
  order: number[];
  blind: boolean;
  voted: number | null;
}

/** As they are typed; an empty one is left to the model. */
export const SAMPLING = ["max_tokens", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed"] as const;
export type Sampling = Record<(typeof SAMPLING)[number], string>;

export interface Chat {
  system: string;
  sampling: Sampling;
  blind: boolean;
  turns: Turn[];
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export const isOpen = (answer: Answer) => ["waiting", "loading", "answering"].includes(answer.state);

export const emptyChat = (): Chat => ({
  system: "",
  sampling: { max_tokens: "256", temperature: "", top_p: "", top_k: "", min_p: "", repetition_penalty: "", seed: "" },
  blind: false,
  turns: [],
});

/** What a model hears before and in a turn: its own answers, but the one that was chosen where one was. */
export function messagesFor(chat: Chat, place: number, model: string): Message[] {
  const heard: Message[] = chat.system.trim() ? [{ role: "system", content: chat.system }] : [];
  for (const turn of chat.turns.slice(0, place)) {
    const own = turn.answers.find((one) => one.model === model) ?? turn.answers[0];
    const said = turn.voted === null ? own : turn.answers[turn.voted];
    heard.push({ role: "user", content: turn.prompt }, { role: "assistant", content: said?.text ?? "" });
  }
  const last = chat.turns[place];
  return last ? [...heard, { role: "user", content: last.prompt }] : heard;
}

/** Whether all models answered the same conversation: only then one answer can be preferred to another. */
export function isComparable(chat: Chat, place: number): boolean {
  const turn = chat.turns[place];
  if (!turn || turn.answers.length < 2 || turn.answers.some((one) => one.state !== "done" || !one.text)) return false;
  const [first, ...others] = turn.answers.map((one) => JSON.stringify(messagesFor(chat, place, one.model)));
  return others.every((one) => one === first);
}

/** A turn that is about to be asked. Hidden models keep their seats until a vote says who they are. */
export function newTurn(prompt: string, models: readonly string[], blind: boolean, before: Turn | undefined): Turn {
  const keepsSeats =
    before?.blind && before.voted === null && before.answers.map((one) => one.model).join() === models.join();
  const isBlind = blind && models.length > 1;
  return {
    prompt,
    blind: isBlind,
    voted: null,
    order: keepsSeats ? before.order : isBlind ? shuffled(models.length) : models.map((_, at) => at),
    answers: models.map((model) => ({ model, text: "", state: "waiting", note: "", tokens: null, seconds: null })),
  };
}

/** The parameters of a request: those that were typed. What is no number is sent as it is, and refused by name. */
export function parametersOf(sampling: Sampling): { params: Record<string, unknown>; seed: unknown } {
  const typed = Object.entries(sampling).filter(([, text]) => text.trim() !== "");
  const values = Object.fromEntries(typed.map(([name, text]) => [name, asNumber(text)]));
  const { seed = null, ...params } = values;
  return { params, seed };
}

const asNumber = (text: string): unknown => (Number.isFinite(Number(text)) ? Number(text) : text);

const KEY = "burnish.chats";
const MOST_CHATS = 12;
const MOST_CHARACTERS = 1_000_000;

type Kept = Record<string, Chat & { models: string[]; at: number }>;

function all(): Kept {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") as Kept;
  } catch {
    return {};
  }
}

/** The conversation of an address, as it was left: what was being answered was stopped. */
export function keptChat(id: string): Chat | null {
  const found = all()[id];
  if (!found || !Array.isArray(found.turns)) return null;
  const turns = found.turns.map((turn) => ({
    ...turn,
    answers: turn.answers.map((one) => (isOpen(one) ? { ...one, state: "stopped" as const } : one)),
  }));
  return { ...emptyChat(), ...found, turns };
}

export function keepChat(id: string, chat: Chat, models: string[]): void {
  const kept = Object.entries({ ...all(), [id]: { ...chat, models, at: Date.now() } })
    .sort(([, one], [, other]) => other.at - one.at)
    .slice(0, MOST_CHATS);
  while (kept.length > 1 && JSON.stringify(kept).length > MOST_CHARACTERS) kept.pop();
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // no room is left: the conversation goes on, and is not there after a reload
  }
}

export interface Earlier {
  id: string;
  title: string;
  models: string[];
  at: number;
}

/** The conversations of this browser, the newest first. */
export const earlierChats = (): Earlier[] =>
  Object.entries(all())
    .map(([id, one]) => ({ id, title: one.turns[0]?.prompt ?? "", models: one.models, at: one.at / 1000 }))
    .filter((one) => one.title)
    .sort((one, other) => other.at - one.at);
