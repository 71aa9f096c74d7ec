// Samples of what a step made: answers before and after, scored items, rows. Read from its own files.
import { queryOptions } from "@tanstack/react-query";
import { queries } from "@/api/queries";
import { type DataRow, filesQuery, type Message, pieceOf, runKey, type StepName } from "./api";

/** The files of a step that hold samples, the first that is there counts. */
const FILES = ["out/answers.jsonl", "out/items.jsonl", "out/sample.jsonl", "scratch/samples.jsonl"] as const;
const MOST_BYTES = 1 << 20;

export interface Samples {
  file: string | null;
  rows: DataRow[];
  /** The file has more than was read. */
  isCut: boolean;
  /** Lines that are no JSON. */
  bad: number;
}

export const answersQuery = (name: StepName) =>
  queryOptions({
    queryKey: [...runKey(name), name.step, "answers"] as const,
    queryFn: async ({ signal }): Promise<Samples> => {
      const { files } = await queries.fetchQuery(filesQuery(name));
      const file = FILES.find((one) => files.some((found) => found.name === one && found.bytes > 0));
      if (!file) return { file: null, rows: [], isCut: false, bad: 0 };
      const { bytes, to, size } = await pieceOf(name, file, 0, MOST_BYTES, signal);
      return { file, ...rowsIn(new TextDecoder().decode(bytes), to < size) };
    },
  });

/** The rows of JSON Lines; of a text that was cut, the last line is not one. */
export function rowsIn(text: string, isCut: boolean): Omit<Samples, "file"> {
  const lines = text.split("\n");
  if (isCut) lines.pop();
  const rows: DataRow[] = [];
  let bad = 0;
  for (const line of lines) {
    if (!line.trim()) continue;
    try {
      rows.push(JSON.parse(line) as DataRow);
    } catch {
      bad += 1;
    }
  }
  return { rows, isCut, bad };
}

export interface Score {
  name: string;
  value: number | null;
  why: string;
}

export interface Answers {
  /** Messages, or the text as the model read it. */
  prompt: Message[] | string;
  before: string | null;
  after: string;
  reference: string | null;
  scores: Score[];
  scoresBefore: Score[];
}

type Loose = Record<string, unknown>;

const text = (value: unknown): string | null =>
  value === undefined || value === null ? null : typeof value === "string" ? value : JSON.stringify(value, null, 2);

const scoresIn = (value: unknown): Score[] =>
  Object.entries((value ?? {}) as Record<string, Loose>).map(([name, score]) => ({
    name,
    value: typeof score?.value === "number" ? score.value : null,
    why: String(score?.why ?? ""),
  }));

/** The answers of a row, and of the model that it was compared with; null for a row that has none. */
export function answersOf(row: DataRow | undefined): Answers | null {
  if (!row || row.answer === undefined) return null;
  const compared = Object.values(row).find(
    (value): value is Loose => typeof value === "object" && value !== null && "answer" in value,
  );
  return {
    prompt: row.prompt ?? [],
    before: text(row.other_answer ?? compared?.answer),
    after: text(row.answer) ?? "",
    reference: text(row.reference),
    scores: scoresIn(row.scores),
    scoresBefore: scoresIn(compared?.scores),
  };
}

/** Rows whose answers differ, the improved ones first; those of a comparison with what was there before. */
export function changedIn(rows: readonly DataRow[], most: number): Answers[] {
  const gain = ({ scores, scoresBefore }: Answers) =>
    scores.reduce((sum, one, at) => sum + (one.value ?? 0) - (scoresBefore[at]?.value ?? 0), 0);
  return rows
    .map(answersOf)
    .filter((one): one is Answers => one !== null && one.before !== null && one.before !== one.after)
    .sort((one, other) => gain(other) - gain(one))
    .slice(0, most);
}
