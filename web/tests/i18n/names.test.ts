import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import i18next from "i18next";
import { afterAll, beforeAll, expect, test } from "vitest";
import { setLanguage, startLanguage } from "@/i18n";
import { errorName, fieldName, measureName, recipeSummary, stageSummary } from "@/i18n/names";
import { names } from "@/i18n/zh-CN";

const ROOT = join(import.meta.dirname, "../../..");
const own = join(ROOT, ".venv/bin/python");
const ALL = `
import json
from burnish.core.catalog import stages
from burnish.core.errors import CODES
from burnish.studio.recipes.shelf import list_recipes
shipped = [one["name"] for one in list_recipes() if one["origin"] == "shipped"]
print(json.dumps({"errors": list(CODES), "stages": list(stages()), "recipes": shipped}))
`;

beforeAll(() => startLanguage());
afterAll(() => setLanguage("en"));

test("every error, stage and shipped recipe has a name in Chinese, and no other has one", () => {
  const python = process.env.BURNISH_PYTHON ?? (existsSync(own) ? own : "python3");
  const env = { ...process.env, PYTHONPATH: join(ROOT, "src") };
  const known = JSON.parse(execFileSync(python, ["-c", ALL], { env, encoding: "utf8", cwd: ROOT }));
  for (const kind of ["errors", "stages", "recipes"] as const)
    expect(Object.keys(names[kind]).sort(), kind).toEqual([...known[kind]].sort());
});

test("a name that the language has not stays as the server says it", async () => {
  const stage = { name: "sft", summary: "Fine-tuning." };
  expect([errorName("run.failed"), measureName("eval_loss"), stageSummary(stage)]).toEqual([
    undefined,
    "evaluation loss",
    "Fine-tuning.",
  ]);
  await setLanguage("zh-CN");
  expect(i18next.language).toBe("zh-CN");
  expect([measureName("eval_loss"), measureName("my_own"), fieldName("max_steps"), fieldName("my_own")]).toEqual([
    "评估损失",
    "my own",
    "最多步数",
    "My own",
  ]);
  expect(errorName("run.failed")).toBeTruthy();
  expect(recipeSummary({ name: "demo", origin: "workspace", summary: "mine" })).toBe("mine");
});
