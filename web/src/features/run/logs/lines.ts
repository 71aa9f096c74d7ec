// Lines of a log: their time and level, without the codes of a terminal. Nothing here draws.

export const LEVELS = ["debug", "info", "warning", "error"] as const;
export type Level = (typeof LEVELS)[number];

export interface LogLine {
  /** Its number in the log, from 1. */
  number: number;
  level: Level;
  /** The time of day; empty for a line that goes on. */
  time: string;
  /** Date and time; empty for a line that goes on. */
  moment: string;
  /** The times are those of the server's clock as the log has them: its zone is not known. */
  isServers: boolean;
  text: string;
}

const HEAD =
  /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:[,.](\d{3}))?\s+(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\s+(.*)$/s;
const NAMED: Record<string, Level> = {
  DEBUG: "debug",
  INFO: "info",
  WARNING: "warning",
  WARN: "warning",
  ERROR: "error",
  CRITICAL: "error",
  FATAL: "error",
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const CODES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** A text as a terminal would have left it: no colours, no hidden characters, and of a line written over only the last. */
export function plain(text: string): string {
  let line = text.includes("\u001b") ? text.replace(CODES, "") : text;
  if (line.includes("\r")) line = line.replace(/\r+$/, "").split("\r").at(-1) ?? "";
  return line.replace(CONTROLS, "");
}

/** Reads a log that arrives in pieces; a piece may end inside a line, or inside a character. */
export class LogReader {
  readonly lines: LogLine[] = [];
  private rest = "";
  private decoder = new TextDecoder();

  /** `isWhole` says that nothing follows: the last line counts without its end. */
  take(bytes: Uint8Array, isWhole = false): void {
    const text = this.rest + this.decoder.decode(bytes, { stream: !isWhole });
    const parts = text.split("\n");
    this.rest = parts.pop() ?? "";
    for (const part of parts) this.add(part);
    if (isWhole && this.rest) {
      this.add(this.rest);
      this.rest = "";
    }
  }

  /** A whole line; `at` is its time with the offset of its zone, which is shown in the reader's. */
  add(raw: string, at: string | null = null): void {
    const text = plain(raw);
    const head = HEAD.exec(text);
    const level = head ? (NAMED[head[4] as string] as Level) : levelOf(text, this.lines.at(-1)?.level);
    const [day, time] = head ? (local(at) ?? [head[1], head[2] + (head[3] ? `.${head[3]}` : "")]) : ["", ""];
    this.lines.push({
      number: this.lines.length + 1,
      level,
      time: time as string,
      moment: head ? `${day} ${time}` : "",
      isServers: head !== null && at === null,
      text: head ? (head[5] as string) : text,
    });
  }
}

/** The day and the time of day in the reader's zone; null without a time. */
function local(at: string | null): [string, string] | null {
  if (at === null) return null;
  const moment = new Date(at);
  const shifted = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString();
  return [shifted.slice(0, 10), shifted.slice(11, 23)];
}

/** A line without a head belongs to the one before it: a traceback to its error. */
const levelOf = (text: string, before: Level | undefined): Level => {
  if (/^\s*✗|Traceback \(most recent call last\)/.test(text)) return "error";
  return before ?? "info";
};

export interface LogFilter {
  words: string;
  least: Level;
}

/** The positions of the lines that a filter leaves. */
export function filtered(lines: readonly LogLine[], { words, least }: LogFilter, from = 0): number[] {
  const wanted = words.toLowerCase();
  const floor = LEVELS.indexOf(least);
  const found: number[] = [];
  for (let at = from; at < lines.length; at++) {
    const line = lines[at] as LogLine;
    if (LEVELS.indexOf(line.level) < floor) continue;
    if (wanted && !line.text.toLowerCase().includes(wanted)) continue;
    found.push(at);
  }
  return found;
}

/** A text cut where the words are found, so that they can be marked: odd parts are the words. */
export function marked(text: string, words: string): string[] {
  if (!words) return [text];
  const parts: string[] = [];
  const low = text.toLowerCase();
  const wanted = words.toLowerCase();
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0 && low.length === text.length; at = low.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), text.slice(at, at + wanted.length));
    from = at + wanted.length;
  }
  parts.push(text.slice(from));
  return parts;
}
