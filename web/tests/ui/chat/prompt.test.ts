import { expect, test } from "vitest";
import { promptText } from "@/ui/chat";

test.each([
  ["<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "Hello"],
  [
    "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "system: Be short.\nuser: Hello",
  ],
  [
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "Hello",
  ],
  ["<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n", "Hello"],
  ["<s>[INST] Hello [/INST]", "Hello"],
  ["<|user|>\nHello</s>\n<|assistant|>\n", "Hello"],
  ["Translate: a < b | c > d", "Translate: a < b | c > d"],
])("the marks of a template are not shown: %s", (prompt, shown) => expect(promptText(prompt)).toBe(shown));
