// A row of data as messages, whatever its shape; and tokens as stretches that are learned or not. Nothing here draws.

export interface ToolCall {
  name: string;
  /** JSON, set out over lines where it can be read. */
  arguments: string;
}

export interface ChatMessage {
  role: string;
  text: string;
  reasoning: string;
  calls: ToolCall[];
}

type Loose = Record<string, unknown>;
const isObject = (value: unknown): value is Loose =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function textOf(content: unknown): string {
  if (content === null || content === undefined) return "";
  if (typeof content === "string") return content;
  if (Array.isArray(content))
    return content
      .map((part) =>
        isObject(part) ? (typeof part.text === "string" ? part.text : `[${String(part.type ?? "…")}]`) : String(part),
      )
      .join("\n");
  return JSON.stringify(content, null, 2);
}

function pretty(given: unknown): string {
  if (typeof given !== "string") return JSON.stringify(given ?? {}, null, 2);
  try {
    return JSON.stringify(JSON.parse(given), null, 2);
  } catch {
    return given;
  }
}

function callOf(call: unknown): ToolCall {
  const told = isObject(call) && isObject(call.function) ? call.function : isObject(call) ? call : {};
  return { name: String(told.name ?? ""), arguments: pretty(told.arguments) };
}

export function messageOf(message: unknown): ChatMessage {
  const given = isObject(message) ? message : { role: "", content: message };
  return {
    role: String(given.role ?? ""),
    text: textOf(given.content),
    reasoning: textOf(given.reasoning ?? given.reasoning_content),
    calls: Array.isArray(given.tool_calls) ? given.tool_calls.map(callOf) : [],
  };
}

const said = (role: string, content: unknown): ChatMessage[] =>
  content === undefined || content === null || content === "" ? [] : [{ ...messageOf({ role, content }) }];

const thread = (value: unknown, role: string): ChatMessage[] =>
  Array.isArray(value) ? value.map(messageOf) : said(role, value);

/** The conversation of a row: messages, a prompt with its answers, or a plain text; empty if it is none of these. */
export function conversationOf(row: Loose): ChatMessage[] {
  if (Array.isArray(row.messages)) return row.messages.map(messageOf);
  if (row.prompt !== undefined)
    return [
      ...thread(row.prompt, "user"),
      ...thread(row.chosen, "chosen"),
      ...thread(row.rejected, "rejected"),
      ...thread(row.completion ?? row.response, "assistant"),
    ];
  if (row.text !== undefined) return said("text", row.text);
  return [];
}

export interface Stretch {
  text: string;
  weight: number;
  tokens: number;
}

/** Neighbouring tokens of one weight as one stretch. */
export function stretchesOf(pieces: readonly (readonly [string, number])[]): Stretch[] {
  const found: Stretch[] = [];
  for (const [text, weight] of pieces) {
    const last = found.at(-1);
    if (last && last.weight === weight) {
      last.text += text;
      last.tokens += 1;
    } else found.push({ text, weight, tokens: 1 });
  }
  return found;
}
