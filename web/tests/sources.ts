// The sources of the page, for the tests that read them.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const ROOT = join(import.meta.dirname, "../src");

export interface Source {
  path: string;
  text: string;
}

export function sources(folder = ROOT): Source[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(entry.name) ? [{ path: relative(ROOT, path), text: readFileSync(path, "utf8") }] : [];
  });
}
