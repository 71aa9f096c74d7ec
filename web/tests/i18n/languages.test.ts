import { expect, test } from "vitest";
import en from "@/i18n/en";
import zh from "@/i18n/zh-CN";
import { sources } from "../sources";

type Texts = { [key: string]: string | Texts };

function keys(texts: Texts, path = ""): string[] {
  return Object.entries(texts).flatMap(([key, value]) =>
    typeof value === "string" ? [path + key] : keys(value, `${path}${key}.`),
  );
}

const text = (texts: Texts, key: string): string =>
  key
    .split(".")
    .reduce<Texts | string>((at, part) => (typeof at === "string" ? at : (at[part] ?? "")), texts) as string;

const english = keys(en);
const code = sources()
  .map((source) => source.text)
  .join("\n");

test("both languages have the same keys", () => {
  expect(keys(zh).sort()).toEqual([...english].sort());
});

test("no text is empty, and both have the same parts to fill in", () => {
  const parts = (said: string) => [...said.matchAll(/{{\s*(\w+)/g)].map((found) => found[1]).sort();
  for (const key of english) {
    expect(text(en, key), key).not.toBe("");
    expect(text(zh, key), key).not.toBe("");
    expect(parts(text(zh, key)), key).toEqual(parts(text(en, key)));
  }
});

test("every key is used by a source", () => {
  const literal = new Set([...code.matchAll(/["'`]([a-z]\w*(?:\.\w+)+)["'`]/gi)].map((found) => found[1]));
  const prefixes = [...code.matchAll(/`((?:\w+\.)+)(\w*)\$\{/g)].map((found) => `${found[1]}${found[2]}`);
  const plural = (key: string) => key.replace(/_(zero|one|two|few|many|other)$/, "");
  const unused = english.filter(
    (key) => !literal.has(key) && !literal.has(plural(key)) && !prefixes.some((prefix) => key.startsWith(prefix)),
  );
  expect(unused).toEqual([]);
});
