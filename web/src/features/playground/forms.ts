// The same question as a command, in Python and with curl.
import { type Chat, messagesFor, parametersOf } from "./chat";

export const WAYS = ["cli", "python", "curl"] as const;
export type Way = (typeof WAYS)[number];

const FLAGS: Record<string, string> = {
  max_tokens: "--max-new-tokens",
  temperature: "--temperature",
  top_p: "--top-p",
  seed: "--seed",
};

const quoted = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** What the command cannot say; the others can. */
const NOT_IN_COMMAND = ["top_k", "min_p", "repetition_penalty"] as const;
export type LeftOut = (typeof NOT_IN_COMMAND)[number] | "turns";

export function leftOut(way: Way, chat: Chat): LeftOut[] {
  if (way !== "cli") return [];
  const { params } = parametersOf(chat.sampling);
  return [...NOT_IN_COMMAND.filter((name) => name in params), ...(chat.turns.length ? (["turns"] as const) : [])];
}

/** The API's own temperature where none is typed: that of the command is 0, where it takes no seed and no top p. */
function asCommand(params: Record<string, unknown>, seed: unknown): Record<string, unknown> {
  const drawn = { ...params, temperature: params.temperature ?? 1, ...(seed === null ? {} : { seed }) };
  const { top_p: _, seed: __, ...greedy } = drawn as Record<string, unknown>;
  return drawn.temperature === 0 ? greedy : drawn;
}

/** Without a server's own conversation: the command asks its models one after the other. */
export function formOf(way: Way, chat: Chat, prompt: string, models: readonly string[]): string {
  const asked = models.filter((one) => one.trim());
  const { params, seed } = parametersOf(chat.sampling);
  const turns = [...chat.turns, { prompt, answers: [], order: [], blind: false, voted: null }];
  const messages = messagesFor({ ...chat, turns }, turns.length - 1, asked[0] ?? "");
  if (way === "cli") {
    const options = Object.entries(asCommand(params, seed))
      .filter(([name]) => FLAGS[name])
      .map(([name, value]) => ` ${FLAGS[name]} ${String(value)}`);
    const system = chat.system.trim() ? ` --system ${quoted(chat.system)}` : "";
    return asked
      .map((one) => `burnish chat ${quoted(one)} --ask ${quoted(prompt)}${system}${options.join("")}`)
      .join("\n");
  }
  const body = JSON.stringify({ models: asked, messages, params, ...(seed === null ? {} : { seed }) }, null, 2);
  const url = `${window.location.origin}/api/v1/generate`;
  if (way === "curl")
    return `curl -N ${url} \\
  -H "Authorization: Bearer $BURNISH_TOKEN" \\
  -H 'Content-Type: application/json' \\
  -d ${quoted(body)}`;
  return `import json, os, httpx

question = json.loads(r"""${body.replaceAll('"""', '\\"\\"\\"')}""")
token = {"Authorization": f"Bearer {os.environ['BURNISH_TOKEN']}"}
with httpx.stream("POST", "${url}", json=question, headers=token, timeout=None) as answer:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            print(json.loads(line.removeprefix("data: ")))`;
}
