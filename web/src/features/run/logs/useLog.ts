// A log of a step: its last part at once, what is before it when it is wanted, and what is written while one reads.
import { useCallback, useEffect, useRef, useState } from "react";
import { Problem } from "@/api/problem";
import { pieceOf, type StepName } from "../api";
import { type LogLine, LogReader } from "./lines";

const PIECE = 8 << 20;
const WAIT = 1_000;

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
        const piece = await pieceOf({ recipe, number, step }, file, place.current.at, PIECE, stopper.signal);
        if (stopper.signal.aborted) return;
        let bytes = piece.bytes;
        if (place.current.at < 0) {
          if (piece.from > 0) bytes = bytes.subarray(bytes.indexOf(10) + 1); // the first line may be half of one
          place.current.first = piece.to - bytes.length;
        }
        place.current.at = piece.to;
        if (bytes.length) reader.current.take(bytes);
        const hasMore = piece.to < piece.size;
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
