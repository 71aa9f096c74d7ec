// A prompt as a model read it, for people: without the marks that a template puts around its turns.

const TURNS: readonly (readonly [RegExp, string])[] = [
  // ChatML, Phi and Llama 3: <|im_start|>user, <|user|>, <|start_header_id|>user<|end_header_id|>
  [/<\|(?:im_start|start_header_id)\|>(system|user|assistant|tool|ipython)(?:<\|end_header_id\|>)?\s*/g, "\n$1: "],
  [/<\|(system|user|assistant)\|>\s*/g, "\n$1: "],
  // Gemma: <start_of_turn>user; Llama 2 and Mistral: [INST]
  [/<start_of_turn>(user|model)\s*/g, "\n$1: "],
  [/<<SYS>>([\s\S]*?)<<\/SYS>>/g, "\nsystem: $1\nuser: "],
  [/\[INST\]/g, "\nuser: "],
  [/\[\/INST\]/g, "\nassistant: "],
  // what is left of marks
  [/<\|[^|<>\n]{1,40}\|>|<end_of_turn>|<\/?s>|<bos>|<eos>|\[\/?SYSTEM_PROMPT\]/g, "\n"],
];

/** Who spoke is said by a word, but of a single question; the mark that asks for an answer goes. */
export function promptText(prompt: string): string {
  const told = TURNS.reduce((text, [mark, word]) => text.replace(mark, word), prompt)
    .replace(/\n(?:assistant|model): *\s*$/, "")
    .replace(/\n\s*user: *(?=\s*\n\s*(?:system|user): )/g, "")
    .replace(/\n{2,}/g, "\n")
    .trim();
  const turns = told.match(/^(?:system|user|assistant|model|tool|ipython): /gm) ?? [];
  return turns.length === 1 ? told.replace(/^user:\s+/, "") : told;
}
