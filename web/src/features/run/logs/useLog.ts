// A log of a step: its last part at once, what is before it when it is wanted, and what is written while one reads.
import { useCallback, useEffect, useRef, useState } from "react";
import { Problem } from "@/api/problem";
import { logPart, pieceOf, type StepName } from "../api";
import { type LogLine, LogReader } from "./lines";

const PIECE = 8 << 20;
const WAIT = 1_000;

/** A part of a log, given to a reader: where it begins and ends, the end of the log, and what of it is gone. */
interface Part {
  from: number;
  to: number;
  size: number;
  gone: number;
}

/** The lines of run.log as the server reads them, also over its rotations. */
async function linesInto(reader: LogReader, name: StepName, at: number, signal: AbortSignal): Promise<Part> {
  const { start, end, size, dropped, lines } = await logPart(name, at, signal);
  for (const { text, at } of lines) reader.add(text, at);
  return { from: start, to: end, size, gone: dropped };
}

/** The bytes of another file. */
async function bytesInto(
  reader: LogReader,
  name: StepName,
  file: string,
  at: number,
  signal: AbortSignal,
): Promise<Part> {
  const piece = await pieceOf(name, file, at, PIECE, signal);
  // the first line may be half of one
  const bytes = at < 0 && piece.from > 0 ? piece.bytes.subarray(piece.bytes.indexOf(10) + 1) : piece.bytes;
  if (bytes.length && !signal.aborted) reader.take(bytes);
  return { from: piece.to - bytes.length, to: piece.to, size: piece.size, gone: 0 };
}

export interface Log {
  lines: readonly LogLine[];
  /** Bytes before the first line that were not read. */
  skipped: number;
  isLoading: boolean;
  error: unknown;
  /** Reads the log from its start. */
  readAll: () => void;
  again: () => void;
}

export function useLog(name: StepName, file: string, isGrowing: boolean): Log {
  const { recipe, number, step } = name;
  const reader = useRef(new LogReader());
  const place = useRef({ at: -PIECE, first: 0 });
  const [shown, setShown] = useState<{
    lines: readonly LogLine[];
    skipped: number;
    isLoading: boolean;
    error: unknown;
  }>({
    lines: [],
    skipped: 0,
    isLoading: true,
    error: null,
  });
  const [from, setFrom] = useState(-PIECE);
  const [round, setRound] = useState(0);
  const growing = useRef(isGrowing);
  growing.current = isGrowing;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a round reads everything again
  useEffect(() => {
    const stopper = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    reader.current = new LogReader();
    place.current = { at: from, first: 0 };
    setShown({ lines: [], skipped: 0, isLoading: true, error: null });
    const read = async () => {
      try {
        const { at, first } = place.current;
        const own = { recipe, number, step };
        const part =
          file === "run.log"
            ? await linesInto(reader.current, own, at, stopper.signal)
            : await bytesInto(reader.current, own, file, at, stopper.signal);
        if (stopper.signal.aborted) return;
        place.current = { at: part.to, first: at < 0 ? part.from - part.gone : first };
        const hasMore = part.to < part.size && part.to > at; // else a line that is being written
        if (!hasMore && !growing.current) reader.current.take(new Uint8Array(), true);
        setShown({ lines: reader.current.lines.slice(), skipped: place.current.first, isLoading: false, error: null });
        if (hasMore) void read();
        else if (growing.current) timer = setTimeout(read, WAIT);
      } catch (error) {
        if (stopper.signal.aborted) return;
        if (error instanceof Problem && error.status === 416) {
          if (!growing.current) reader.current.take(new Uint8Array(), true);
          setShown((old) => ({ ...old, lines: reader.current.lines.slice(), isLoading: false })); // nothing new, or an empty file
          if (growing.current) timer = setTimeout(read, WAIT);
          return;
        }
        setShown((old) => ({ ...old, isLoading: false, error }));
      }
    };
    void read();
    return () => {
      stopper.abort();
      clearTimeout(timer);
    };
  }, [recipe, number, step, file, from, round, isGrowing]);

  const readAll = useCallback(() => setFrom(0), []);
  const again = useCallback(() => setRound((one) => one + 1), []);
  return { ...shown, readAll, again };
}
