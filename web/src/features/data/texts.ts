// The texts of a row that can be edited one by one: the turns of its conversation, or its fields. Nothing here draws.

export type RowValue = Record<string, unknown>;
type Path = readonly (string | number)[];

export interface RowText {
  path: Path;
  /** The role of a turn, or the name of a field. */
  label: string;
  text: string;
  /** The number of the turn; null for a field. */
  turn: number | null;
}

interface Turn extends RowValue {
  role: string;
}

const isTurn = (one: unknown): one is Turn =>
  typeof one === "object" && one !== null && typeof (one as RowValue).role === "string";

/** The turns of a row in `messages`; null where it has none, or other ones. */
export function turnsOf(value: RowValue): readonly Turn[] | null {
  const { messages } = value;
  return Array.isArray(messages) && messages.every(isTurn) ? messages : null;
}

/** What can be edited as text. What is not text, such as calls of tools, is left as it is. */
export function textsOf(value: RowValue): RowText[] {
  const turns = turnsOf(value) ?? [];
  const said = turns.flatMap(({ role, content }, turn): RowText[] =>
    typeof content === "string" ? [{ path: ["messages", turn, "content"], label: role, text: content, turn }] : [],
  );
  const fields = Object.entries(value).flatMap(([key, text]): RowText[] =>
    typeof text === "string" ? [{ path: [key], label: key, text, turn: null }] : [],
  );
  return [...said, ...fields];
}

function set(value: unknown, path: Path, next: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return next;
  if (Array.isArray(value)) return value.map((one, at) => (at === first ? set(one, rest, next) : one));
  return { ...(value as RowValue), [first]: set((value as RowValue)[first], rest, next) };
}

export const withText = (value: RowValue, path: Path, text: string): RowValue => set(value, path, text) as RowValue;

export const withRole = (value: RowValue, turn: number, role: string): RowValue =>
  withText(value, ["messages", turn, "role"], role);

export const removed = (value: RowValue, turn: number): RowValue => ({
  ...value,
  messages: (turnsOf(value) ?? []).filter((_, at) => at !== turn),
});

/** With one more turn: an answer after a question, else a question. */
export function added(value: RowValue): RowValue {
  const turns = turnsOf(value) ?? [];
  const role = turns.at(-1)?.role === "user" ? "assistant" : "user";
  return { ...value, messages: [...turns, { role, content: "" }] };
}
