// What the address of a run says: the step, the tab, and the place in it. A reload shows the same.

export const SORTS = ["last", "mean", "rise"] as const;
export const SIDES = ["worst", "best"] as const;
export type Sort = (typeof SORTS)[number];
export type Side = (typeof SIDES)[number];

export interface RunSearch {
  step?: string;
  tab?: string;
  /** A step of the training whose rows are shown. */
  at?: number;
  /** What the rows are ordered by, and the end of that order that is shown. */
  sort?: Sort;
  side?: Side;
  /** What is searched for in the log. */
  find?: string;
  /** The lowest level of the log that is shown, and `console` for what the terminal had. */
  level?: string;
  log?: string;
  /** The file that is shown. */
  file?: string;
}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value ? value : typeof value === "number" ? String(value) : undefined;

export function runSearch(search: Record<string, unknown>): RunSearch {
  const at = Number(search.at);
  const found: RunSearch = {
    step: text(search.step),
    tab: text(search.tab),
    at: search.at !== undefined && Number.isInteger(at) && at >= 0 ? at : undefined,
    sort: SORTS.find((one) => one === search.sort),
    side: SIDES.find((one) => one === search.side),
    find: text(search.find),
    level: text(search.level),
    log: text(search.log),
    file: text(search.file),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}
