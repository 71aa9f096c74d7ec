// Work that nobody waits for begins when the page has drawn what somebody waits for.
import { useEffect, useState } from "react";

const LATEST = 2_000;

/** True from the first quiet moment of the browser after `isReady`, or two seconds later. */
export function useQuiet(isReady: boolean): boolean {
  const [isQuiet, setQuiet] = useState(false);
  useEffect(() => {
    if (!isReady || isQuiet) return;
    const note = () => setQuiet(true);
    if (typeof requestIdleCallback !== "function") {
      const timer = setTimeout(note, 200); // Safari
      return () => clearTimeout(timer);
    }
    const asked = requestIdleCallback(note, { timeout: LATEST });
    return () => cancelIdleCallback(asked);
  }, [isReady, isQuiet]);
  return isQuiet;
}
