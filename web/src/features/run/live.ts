// What the events of a run say, step by step: phase, metrics, checkpoints, tables. Events may come twice, in any number.
import type { StreamEvent } from "@/api/stream";
import { type Points, put } from "@/ui/chart/points";
import type { Choice, Failure } from "./api";

export interface Phase {
  name: string;
  done: number;
  /** 0 is unknown. */
  total: number;
  unit: string;
  /** When it was at `firstDone`, and when last heard of: seconds since 1970. */
  since: number;
  firstDone: number;
  at: number;
}

export interface StepTable {
  title: string;
  columns: string[];
  rows: string[][];
}

export interface StepNote {
  level: "info" | "warning" | "command";
  text: string;
}

export interface LiveStep {
  state: string | null;
  phase: Phase | null;
  curves: Record<string, Points>;
  checkpoints: number[];
  chosen: Choice[];
  notes: StepNote[];
  tables: StepTable[];
  failed: Failure | null;
  /** Of the last event: seconds since 1970. */
  at: number;
}

const fresh = (): LiveStep => ({
  state: null,
  phase: null,
  curves: {},
  checkpoints: [],
  chosen: [],
  notes: [],
  tables: [],
  failed: null,
  at: 0,
});

type Sent = Record<string, unknown> & { kind: string; at: number };

/** Folds events into steps. A reader is given new objects, so that what did not change is drawn once. */
export class RunFollower {
  private steps = new Map<string, LiveStep>();
  private shown: ReadonlyMap<string, LiveStep> = new Map();
  private dirty = new Set<string>();
  private touched = new Map<string, Set<string>>();
  private seen = new Map<string, Set<string>>();
  private listeners = new Set<() => void>();
  /** The steps of the longest curve: what is long is shown less often, as it is copied each time. */
  private points = 0;
  private begun = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly every: number = 150,
    private readonly onState: (step: string, state: string, at: number) => void = () => {},
  ) {}

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): ReadonlyMap<string, LiveStep> => this.shown;

  /** An event of the stream: `{step, event}`. `reset` says that what came before is not of this run any more. */
  take(sent: StreamEvent): void {
    if (sent.event === "reset") {
      for (const own of [this.steps, this.touched, this.seen]) own.clear();
      this.dirty.add("");
      this.later();
      return;
    }
    if (sent.event === "end") {
      this.publish();
      return;
    }
    try {
      const { step, event } = JSON.parse(sent.data) as { step?: unknown; event?: unknown };
      if (typeof step === "string" && event && typeof event === "object") this.add(step, event as Sent);
    } catch {
      // a line that is no event: the server counts those
    }
  }

  /** Whether the curves of a step that were fetched are shown. */
  hasStarted = (step: string): boolean => this.begun.has(step);

  /** Curves that were fetched, shown at once; those of events are laid over them. */
  start(step: string, curves: Record<string, Points>): void {
    const live = this.of(step);
    this.begun.add(step);
    this.dirty.add(step);
    for (const [key, given] of Object.entries(curves)) {
      const own = live.curves[key];
      const merged: Points = { steps: [...given.steps], values: [...given.values] };
      if (own)
        for (let at = 0; at < own.steps.length; at++) put(merged, own.steps[at] as number, own.values[at] as number);
      live.curves[key] = merged;
      this.touch(step, key);
    }
    this.publish();
  }

  private of(step: string): LiveStep {
    let live = this.steps.get(step);
    if (!live) {
      live = fresh();
      this.steps.set(step, live);
    }
    return live;
  }

  private touch(step: string, key: string): void {
    this.dirty.add(step);
    const keys = this.touched.get(step) ?? new Set();
    this.touched.set(step, keys.add(key));
  }

  /** Whether a text was said before: a resumed step says it again. */
  private isNew(step: string, text: string): boolean {
    const seen = this.seen.get(step) ?? new Set<string>();
    this.seen.set(step, seen);
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  }

  add(step: string, event: Sent): void {
    const live = this.of(step);
    live.at = Math.max(live.at, event.at);
    this.dirty.add(step);
    if (event.kind === "metric") {
      const at = event.step as number;
      for (const [key, value] of Object.entries(event.values as Record<string, number | string>)) {
        let points = live.curves[key];
        if (!points) {
          points = { steps: [], values: [] };
          live.curves[key] = points;
        }
        put(points, at, Number(value));
        this.points = Math.max(this.points, points.steps.length);
        this.touch(step, key);
      }
    } else if (event.kind === "progress") live.phase = phaseOf(live.phase, event);
    else if (event.kind === "state") {
      live.state = String(event.state);
      if (live.state === "running") {
        live.failed = null;
        live.phase = null;
      }
      this.onState(step, live.state, event.at);
    } else if (event.kind === "checkpoint") {
      const at = event.step as number;
      if (!live.checkpoints.includes(at))
        live.checkpoints = [...live.checkpoints, at].sort((one, other) => one - other);
    } else if (event.kind === "chosen") {
      const chosen = event as unknown as Choice;
      live.chosen = [...live.chosen.filter((one) => one.field !== chosen.field), chosen];
    } else if (event.kind === "note") {
      const note = event as unknown as StepNote;
      if (this.isNew(step, `note ${note.text}`)) live.notes = [...live.notes, { level: note.level, text: note.text }];
    } else if (event.kind === "table") {
      const table = event as unknown as StepTable;
      live.tables = [...live.tables.filter((one) => one.title !== table.title), table];
    } else if (event.kind === "failed") live.failed = event as unknown as Failure;
    this.later();
  }

  private later(): void {
    if (this.timer === undefined) this.timer = setTimeout(() => this.publish(), Math.max(this.every, this.points / 50));
  }

  /** Shows what has come since. */
  publish(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.dirty.size === 0) return;
    const next = new Map(this.dirty.has("") ? [] : this.shown);
    for (const step of this.dirty) {
      const live = this.steps.get(step);
      if (!live) continue;
      const curves = { ...live.curves };
      for (const key of this.touched.get(step) ?? []) {
        const points = live.curves[key];
        if (points) curves[key] = { steps: points.steps.slice(), values: points.values.slice() };
      }
      const old = next.get(step)?.curves ?? {};
      for (const key of Object.keys(curves)) if (!this.touched.get(step)?.has(key) && old[key]) curves[key] = old[key];
      next.set(step, { ...live, curves });
    }
    this.dirty.clear();
    this.touched.clear();
    this.shown = next;
    for (const listener of this.listeners) listener();
  }
}

function phaseOf(before: Phase | null, event: Sent): Phase {
  const name = String(event.phase);
  const done = Number(event.done);
  const isSame = before !== null && before.name === name && done >= before.done;
  return {
    name,
    done,
    total: Number(event.total ?? 0),
    unit: String(event.unit ?? ""),
    since: isSame ? before.since : event.at,
    firstDone: isSame ? before.firstDone : done,
    at: event.at,
  };
}

/** Seconds until the phase ends, by its rate so far; null while that cannot be known. */
export function etaOf(phase: Phase | null): number | null {
  if (!phase || phase.total <= 0 || phase.done >= phase.total) return null;
  const gone = phase.at - phase.since;
  const made = phase.done - phase.firstDone;
  return made > 0 && gone > 0.5 ? ((phase.total - phase.done) * gone) / made : null;
}

/** The last finite value of a curve. */
export function lastOf(points: Points | undefined): number | null {
  for (let at = (points?.values.length ?? 0) - 1; at >= 0; at--) {
    const value = points?.values[at];
    if (value !== undefined && Number.isFinite(value)) return value;
  }
  return null;
}
