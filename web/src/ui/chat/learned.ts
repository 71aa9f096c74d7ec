// Which parts of a conversation a training learns: its texts, found again among the tokens of the row. Nothing here draws.
import { type ChatMessage, type Stretch, stretchesOf } from "./messages";

export type Piece = readonly [text: string, weight: number];

export interface Part {
  text: string;
  weight: number;
  /** Of the message itself; else the template wrote it, such as the end of a turn. */
  isSaid: boolean;
}

/** Who may be learned from: a short answer may stand in the question, too. */
const ANSWERS: ReadonlySet<string> = new Set(["assistant", "chosen", "rejected"]);

interface Seat {
  start: number;
  end: number;
}

const MOST_LOOKS = 100;

/** Where a text stands: its first place in which it is learned, else its first place. A short one may stand in others. */
function seatOf(whole: string, text: string, from: number, isLearned: (at: number) => boolean): Seat | null {
  for (const wanted of [text, text.trim()]) {
    if (!wanted) continue;
    const first = whole.indexOf(wanted, from);
    if (first < 0) continue;
    let start = first;
    for (let look = 0; look < MOST_LOOKS && start >= 0 && !isLearned(start); look++)
      start = whole.indexOf(wanted, start + 1);
    const seat = start >= 0 && isLearned(start) ? start : first;
    return { start: seat, end: seat + wanted.length };
  }
  return null;
}

/** The stretches between two places of the whole text. */
function between(stretches: readonly Stretch[], from: number, to: number, isSaid: boolean): Part[] {
  const found: Part[] = [];
  let at = 0;
  for (const { text, weight } of stretches) {
    const part = text.slice(Math.max(0, from - at), Math.max(0, to - at));
    if (part) found.push({ text: part, weight, isSaid });
    at += text.length;
  }
  return found;
}

/** The parts of each message of one sample; none for a text that the template has changed. Of what the template adds,
 * only what is learned is kept. */
export function partsIn(messages: readonly ChatMessage[], pieces: readonly Piece[]): Part[][] {
  const stretches = stretchesOf(pieces);
  const whole = stretches.map((one) => one.text).join("");
  const ends: number[] = [];
  for (const { text } of stretches) ends.push((ends.at(-1) ?? 0) + text.length);
  const isLearned = (at: number) => stretches[ends.findIndex((end) => at < end)]?.weight !== 0;
  let from = 0;
  const seats = messages.map(({ role, text }) => {
    const seat = seatOf(whole, text, from, ANSWERS.has(role) ? isLearned : () => true);
    if (seat) from = seat.end;
    return seat;
  });
  let done = 0;
  return messages.map((_, at) => {
    const seat = seats[at];
    const next = seats.slice(at + 1).find((one) => one !== null);
    const before = between(stretches, done, seat?.start ?? next?.start ?? whole.length, false);
    done = seat?.end ?? next?.start ?? whole.length;
    const own = seat ? between(stretches, seat.start, seat.end, true) : [];
    const after: Part[] = [];
    if (seat)
      for (const part of between(stretches, done, next?.start ?? whole.length, false)) {
        if (part.weight === 0) break;
        after.push(part);
        done += part.text.length;
      }
    return [...before.filter((one) => one.weight !== 0), ...own, ...after];
  });
}

/** The parts of each message of a row. Of a pair of answers, each answer is in a sample of its own. */
export function learnedParts(messages: readonly ChatMessage[], samples: readonly (readonly Piece[])[]): Part[][] {
  const [first, other] = samples;
  const rejected = messages.findIndex((one) => one.role === "rejected");
  if (rejected < 0 || !first || !other) return partsIn(messages, samples.flat());
  const asked = messages.slice(
    0,
    messages.findIndex((one) => one.role === "chosen"),
  );
  const pair = [...asked, ...messages.slice(rejected)];
  return [...partsIn(messages.slice(0, rejected), first), ...partsIn(pair, other).slice(asked.length)];
}
