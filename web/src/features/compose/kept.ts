// The drafts that this tab was writing, so that a reload or a look at another screen loses nothing of them.
import { type Draft, isSameDraft, rebased } from "./draft";

const KEY = "burnish.drafts";
const MOST = 20;

interface Kept {
  key: string;
  /** What it was when it was opened. */
  start: Draft;
  draft: Draft;
}

function all(): Kept[] {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

function store(drafts: readonly Kept[]): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(drafts.slice(-MOST)));
  } catch {
    // a full or forbidden store: the draft lives as long as the page
  }
}

/** The draft that was written from there, over what its origin is now; `start` if none was. */
export function keptDraft(key: string, start: Draft): Draft {
  const kept = all().find((one) => one.key === key);
  return kept ? rebased(kept.draft, kept.start, start) : start;
}

/** Keeps a draft; one in which nothing was edited is forgotten. */
export function keepDraft(key: string, start: Draft, draft: Draft): void {
  const rest = all().filter((one) => one.key !== key);
  store(isSameDraft(start, draft) ? rest : [...rest, { key, start, draft }]);
}

export const dropDraft = (key: string): void => store(all().filter((one) => one.key !== key));
