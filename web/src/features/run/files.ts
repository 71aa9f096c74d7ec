// Files as a tree of folders, the fullest picture in the fewest rows.
import type { StepFile } from "./api";

export interface Entry {
  /** The whole path. */
  path: string;
  label: string;
  depth: number;
  isFolder: boolean;
  bytes: number;
  /** Files in the folder. */
  count: number;
}

/** The rows of a tree: folders before files, by name; what is in a closed folder is left out. */
export function entriesOf(files: readonly StepFile[], isOpen: (folder: string) => boolean): Entry[] {
  interface Folder {
    folders: Map<string, Folder>;
    files: StepFile[];
    bytes: number;
    count: number;
  }
  const fresh = (): Folder => ({ folders: new Map(), files: [], bytes: 0, count: 0 });
  const root = fresh();
  for (const file of files) {
    let at = root;
    const parts = file.name.split("/");
    for (const part of [null, ...parts.slice(0, -1)]) {
      if (part !== null) {
        const next = at.folders.get(part) ?? fresh();
        at.folders.set(part, next);
        at = next;
      }
      at.bytes += file.bytes;
      at.count += 1;
    }
    at.files.push(file);
  }
  const rows: Entry[] = [];
  const walk = (folder: Folder, path: string, depth: number) => {
    for (const [label, inner] of [...folder.folders].sort(([one], [other]) => one.localeCompare(other))) {
      const own = path + label;
      rows.push({ path: own, label, depth, isFolder: true, bytes: inner.bytes, count: inner.count });
      if (isOpen(own)) walk(inner, `${own}/`, depth + 1);
    }
    for (const file of [...folder.files].sort((one, other) => one.name.localeCompare(other.name)))
      rows.push({
        path: file.name,
        label: file.name.slice(path.length),
        depth,
        isFolder: false,
        bytes: file.bytes,
        count: 1,
      });
  };
  walk(root, "", 0);
  return rows;
}

const TEXT =
  /\.(txt|log|md|json|jsonl|ya?ml|csv|tsv|py|sh|toml|cfg|ini|jinja|xml|html?|svg)$|^(Modelfile|LICENSE|NOTICE)$|^[^.]+$/i;
const IMAGE = /\.(png|jpe?g|gif|webp|svg)$/i;

export type Preview = "text" | "image" | "none";
export const previewOf = (path: string): Preview => {
  const label = path.split("/").at(-1) ?? path;
  return IMAGE.test(label) ? "image" : TEXT.test(label) ? "text" : "none";
};
