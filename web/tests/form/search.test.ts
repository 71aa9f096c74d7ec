import { beforeAll, expect, test } from "vitest";
import { matches } from "@/features/form/context";
import { startLanguage } from "@/i18n";

beforeAll(() => startLanguage());

test("a search finds a setting by its name in other tools", () => {
  const elsewhere = { "method.alpha": ["lora_alpha"], learning_rate: ["lr"] };
  expect(matches("lora_alpha", ["method", "alpha"], "", elsewhere)).toBe(true);
  expect(matches("LR", ["learning_rate"], "", elsewhere)).toBe(true);
  expect(matches("lora_alpha", ["learning_rate"], "", elsewhere)).toBe(false);
});
