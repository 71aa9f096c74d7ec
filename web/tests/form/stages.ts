// The schemas of all stages, as `burnish schema` gives them.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Schema } from "@/features/form/schema";

const ROOT = join(import.meta.dirname, "../../..");
const own = join(ROOT, ".venv/bin/python");
const ALL = `
import json
from burnish.core.catalog import stages
from burnish.studio.schema import schema
print(json.dumps({name: schema(name) for name in stages()}))
`;

export function schemasOfStages(): Record<string, Schema> {
  const python = process.env.BURNISH_PYTHON ?? (existsSync(own) ? own : "python3");
  const env = { ...process.env, PYTHONPATH: join(ROOT, "src") };
  const said = execFileSync(python, ["-c", ALL], { env, encoding: "utf8", maxBuffer: 64 << 20 });
  return JSON.parse(said) as Record<string, Schema>;
}
