// A link to a hub, or a reference, as someone pastes it.

export interface Pasted {
  type: "dataset" | "model" | "file";
  ref: string;
}

const HUB = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com)\/(datasets\/)?([\w.-]+\/[\w.-]+)/;

/** What a pasted text names: a dataset or a model of a hub, a file; null for anything else. */
export function pasted(text: string): Pasted | null {
  const line = text.trim();
  if (!line || /\s/.test(line)) return null;
  const hub = HUB.exec(line);
  if (hub?.[2] && !["spaces", "docs", "papers"].includes(hub[2].split("/")[0] ?? ""))
    return { type: hub[1] ? "dataset" : "model", ref: `hub:${hub[2]}` };
  if (/^hub:[\w.-]+\/[\w.-]+/.test(line)) return { type: "model", ref: line };
  if (/^(file:|https?:\/\/\S+\.(jsonl?|csv|parquet|txt|zip|gz|zst)$)/.test(line)) return { type: "file", ref: line };
  return null;
}
