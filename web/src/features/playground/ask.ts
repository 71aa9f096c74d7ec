// Asks a model; its answer comes as events of a stream.
import { Problem } from "@/api/problem";
import { eventReader } from "@/api/stream";
import { address, guarded } from "@/api/transport";

export interface Question {
  models: string[];
  messages: { role: "system" | "user" | "assistant"; content: string }[];
  params: Record<string, unknown>;
  seed: unknown;
}

export interface Told {
  event: string;
  model: string;
  text?: string;
  answer?: string;
  tokens?: number;
  seconds?: number;
  detail?: string;
  what?: string;
  title?: string;
  fix?: string;
}

export async function ask(question: Question, onTold: (told: Told) => void, signal: AbortSignal): Promise<void> {
  const reply = await guarded(address("/api/v1/generate"), {
    method: "POST",
    body: JSON.stringify(question),
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    signal,
  });
  if (!reply.body) throw new Problem(0, "", "", "", "");
  const feed = eventReader((event) => onTold({ ...(JSON.parse(event.data) as Told), event: event.event }));
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    feed(value);
  }
}

/** A fair order of places, for a vote that does not know who answered. */
export function shuffled(count: number): number[] {
  const order = Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at--) {
    const other = (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % (at + 1);
    [order[at], order[other]] = [order[other] as number, order[at] as number];
  }
  return order;
}
