// What the stage `profile` writes, as far as it is shown.

export interface Lengths {
  count: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
  histogram?: [number, number, number][];
}

export interface Member {
  source: string;
  split: string;
  text: string;
}

interface Share {
  rows: number;
  share: number;
}

export interface Group extends Share {
  groups: number;
  largest: { rows: number; members: Member[] }[];
}

/** Of a held-out split: its rows, and how many of them training rows repeat. */
export interface Leak extends Share {
  exact: number;
  question: number;
  near?: number;
  examples: (Member & { kind: LeakKind })[];
}

export const LEAK_KINDS = ["exact", "question", "near"] as const;
export type LeakKind = (typeof LEAK_KINDS)[number];

export interface Profile {
  rows: number;
  splits: Record<string, number>;
  bad: { rows: number; first: { source: string; field: string; reason: string; raw?: string }[] };
  characters: Lengths;
  turns: Lengths;
  tokens?: Lengths;
  languages: { sample: number; rows: Record<string, number> };
  duplicates: { exact: Group; near?: Group & { similarity: number } };
  leakage: Record<string, Leak>;
  personal: Share & { kinds: Record<string, Share> };
  licences: Record<string, number>;
  topics?: { clusters: (Share & { terms: string[] })[] };
  warnings: string[];
}

/** The rows of held-out splits that training rows repeat, and their share of those splits; null without such splits. */
export function leaksOf({ leakage }: Profile): Share | null {
  const splits = Object.values(leakage);
  if (splits.length === 0) return null;
  const rows = splits.reduce((sum, one) => sum + one.exact + one.question + (one.near ?? 0), 0);
  const all = splits.reduce((sum, one) => sum + one.rows, 0);
  return { rows, share: all ? rows / all : 0 };
}

export const rowsBy = (kinds: Record<string, Share>): Record<string, number> =>
  Object.fromEntries(Object.entries(kinds).map(([kind, { rows }]) => [kind, rows]));
