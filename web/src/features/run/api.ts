// What the server says of one run: its steps, curves, rows, files; and what can be requested of it.
import { queryOptions } from "@tanstack/react-query";
import { get, send } from "@/api/call";
import { address, guarded } from "@/api/transport";
import type { Average, Points } from "@/ui/chart";

export interface Choice {
  field: string;
  value: unknown;
  reason: string;
}

export interface Failure {
  code: string;
  what: string;
  fix: string;
}

export interface Check {
  name: string;
  question?: string;
  verdict: string;
  found: string;
  measured?: number | null;
  allowed?: number | null;
  /** Of a certificate: what was allowed, in words. */
  limit?: string;
  fix?: string;
}

/** What is known of a step that has started. Times are in seconds. */
export interface ShownStep {
  state: string;
  seconds: number | null;
  created: number | null;
  attempts: number | null;
  reason: string;
  kind: string | null;
  metrics: Record<string, unknown>;
  folder: string;
  settings: Record<string, unknown>;
  inputs: Record<string, string>;
  chosen: Choice[];
  notes: string[];
  error: Failure | null;
  path: string | null;
  checks: Check[];
  certificate: Record<string, unknown> | null;
  provenance: Record<string, unknown>;
}

/** `run` is where the step is done: another run's folder where its result is reused. */
export interface RunStep {
  step: string;
  stage: string | null;
  action: string | null;
  why: string;
  run: string;
  state: string;
  shown: ShownStep | null;
  problem: Failure | null;
}

export interface RunDetail {
  run: string;
  recipe: string;
  number: number;
  state: string;
  /** It was requested to stop; another request ends it at once. */
  stop_requested: boolean;
  created: number | null;
  /** How long its steps have run, and how long the first one waited before: as of the answer. */
  seconds: number | null;
  waited: number | null;
  values: Record<string, unknown>;
  notes: string[];
  warnings: string[];
  cursor: string;
  steps: RunStep[];
}

/** A run by its address. */
export interface RunName {
  recipe: string;
  number: string;
}

export interface StepName extends RunName {
  step: string;
}

const part = encodeURIComponent;
export const pathOf = ({ recipe, number }: RunName): string => `/api/v1/runs/${part(recipe)}/${part(number)}`;
export const stepPath = (name: StepName): string => `${pathOf(name)}/${part(name.step)}`;
export const filePath = (name: StepName, file: string): string =>
  `${stepPath(name)}/files/${file.split("/").map(part).join("/")}`;

/** All files that a step made, as one tar. */
export const archivePath = ({ recipe, number, step }: StepName): string =>
  `/api/v1/artifacts/${part(recipe)}/${part(number)}/${part(step)}/download`;

export const runKey = ({ recipe, number }: RunName) => ["run", recipe, number] as const;
const stepKey = (name: StepName, what: string) => [...runKey(name), name.step, what] as const;

export const runQuery = (name: RunName) =>
  queryOptions({
    queryKey: runKey(name),
    queryFn: ({ signal }) => get<RunDetail>(pathOf(name), undefined, signal),
  });

interface SentCurve {
  steps: number[];
  values: (number | string)[];
  /** Points before thinning. */
  count: number;
  smoothed: (number | string)[] | null;
  weight: number | null;
}

const POINTS = 5000;

const sentCurves = async (name: StepName, asked: object, signal: AbortSignal) =>
  Object.entries(
    (await get<{ curves: Record<string, SentCurve> }>(`${stepPath(name)}/curves`, { points: POINTS, ...asked }, signal))
      .curves,
  );

const pointsOf = ({ steps, values }: SentCurve): Points => ({ steps, values: values.map(Number) });

export interface RunCurves {
  curves: Record<string, Points>;
  /** The names of those of which not all points were sent. */
  thinned: string[];
}

export const curvesQuery = (name: StepName) =>
  queryOptions({
    queryKey: stepKey(name, "curves"),
    queryFn: async ({ signal }): Promise<RunCurves> => {
      const sent = await sentCurves(name, {}, signal);
      return {
        curves: Object.fromEntries(sent.map(([key, curve]) => [key, pointsOf(curve)])),
        thinned: sent.filter(([, curve]) => curve.count > curve.steps.length).map(([key]) => key),
      };
    },
    staleTime: Number.POSITIVE_INFINITY, // what comes after is in the events of this visit;
    gcTime: 0, // another visit reads them again
  });

/** The averages of curves that were thinned: over all their points, which only the server has. */
export const averagesQuery = (name: StepName, isNeeded: boolean, smoothing: number) =>
  queryOptions({
    queryKey: [...stepKey(name, "curves"), smoothing],
    queryFn: async ({ signal }) => {
      const sent = await sentCurves(name, { smoothing }, signal);
      return Object.fromEntries(
        sent.map(([key, curve]): [string, Average] => [
          key,
          {
            ...pointsOf(curve),
            smoothing,
            smoothed: (curve.smoothed ?? []).map(Number),
            weight: curve.weight ?? 0,
          },
        ]),
      );
    },
    enabled: isNeeded && smoothing > 0,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });

export interface StepFile {
  name: string;
  bytes: number;
  modified?: number;
}

export const filesQuery = (name: StepName) =>
  queryOptions({
    queryKey: stepKey(name, "files"),
    queryFn: ({ signal }) => get<{ files: StepFile[]; more?: number }>(`${stepPath(name)}/files`, undefined, signal),
  });

export interface Piece {
  text: string;
  /** Where the piece begins and ends in the file, and how long the file is: bytes. */
  from: number;
  to: number;
  size: number;
}

/** A part of a file as text; `from` below 0 counts from its end. */
export async function pieceOf(name: StepName, file: string, from: number, most: number, signal?: AbortSignal) {
  const range = from < 0 ? `bytes=${from}` : `bytes=${from}-${from + most - 1}`;
  const reply = await guarded(address(filePath(name, file)), { headers: { range }, signal, cache: "no-store" });
  const bytes = new Uint8Array(await reply.arrayBuffer());
  const told = /bytes (\d+)-(\d+)\/(\d+)/.exec(reply.headers.get("content-range") ?? "");
  const start = told ? Number(told[1]) : 0;
  const size = told ? Number(told[3]) : bytes.length;
  return { bytes, from: start, to: start + bytes.length, size };
}

export interface LogPart {
  start: number;
  /** Where the next part begins, and the end of the log; its first `dropped` bytes are gone. */
  end: number;
  size: number;
  dropped: number;
  /** `at` is the time of a line with the offset of its zone; null for one that goes on. */
  lines: { text: string; at: string | null }[];
}

/** Whole lines of run.log from a position on: a position stays when the log is rotated. Below 0: from its end. */
export const logPart = (name: StepName, start: number, signal?: AbortSignal) =>
  get<LogPart>(`${stepPath(name)}/log`, { start }, signal);

export async function textOf(name: StepName, file: string, most: number, signal?: AbortSignal): Promise<Piece> {
  const { bytes, ...rest } = await pieceOf(name, file, 0, most, signal);
  return { text: new TextDecoder().decode(bytes), ...rest };
}

export interface Message {
  role: string;
  content?: unknown;
  tool_calls?: { function: { name: string; arguments: unknown } }[];
  reasoning?: string;
  name?: string;
}

export interface DataRow {
  id?: string;
  source?: string;
  kind?: string;
  tag?: string;
  messages?: Message[];
  prompt?: Message[] | string;
  text?: string;
  [key: string]: unknown;
}

export interface Visit {
  epoch: number;
  step: number;
  loss: number | string;
  learned_tokens?: number;
}

export interface LedgerRow {
  id: string;
  visits: Visit[];
  first: number | string;
  last: number | string;
  mean: number | string;
  rise: number | string | null;
  row: DataRow | null;
  missing: string;
  copies: number;
}

export interface Ledger {
  run: string;
  state: string;
  rows?: number;
  visits?: number;
  visited_once?: number;
  worst: LedgerRow[];
  best: LedgerRow[];
  named: LedgerRow[];
  notes: string[];
}

export const rowsQuery = (name: StepName, asked: { at: number | null; sort: string; side: "worst" | "best" }) =>
  queryOptions({
    queryKey: [...stepKey(name, "rows"), asked],
    queryFn: ({ signal }) =>
      get<Ledger>(
        `${stepPath(name)}/rows`,
        asked.at === null ? { sort: asked.sort, [asked.side]: 50 } : { at: asked.at, worst: 1000 },
        signal,
      ),
  });

export interface Proof {
  held: number;
  failed: number;
  not_applicable?: number;
  errors?: number;
  sample?: string;
  checks: Check[];
}

export const proofQuery = (name: StepName) =>
  queryOptions({
    queryKey: stepKey(name, "proof"),
    queryFn: ({ signal }) => get<Proof>(`${stepPath(name)}/proof`, undefined, signal),
  });

/** Requests the run to stop after it saves its state; a second request stops it at once. */
export const stop = (name: RunName) => send<{ requested: string[] }>("POST", `${pathOf(name)}/stop`);
/** Queues the run again; the answer names the run that goes on with it. */
export const resume = (name: RunName) => send<{ run: string }>("POST", `${pathOf(name)}/resume`, {});
