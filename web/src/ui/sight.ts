// A row that scrolls sideways, such as tabs on a phone: what is chosen in it is brought into sight.
import { type RefObject, useEffect, useRef } from "react";

export function useChosenInSight<E extends HTMLElement>(chosen: string): RefObject<E | null> {
  const list = useRef<E>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another choice is another place
  useEffect(() => {
    const row = list.current;
    const here = row?.querySelector<HTMLElement>("[aria-current], [aria-selected=true]");
    if (!row || !here || row.scrollWidth <= row.clientWidth) return;
    const [frame, box] = [row.getBoundingClientRect(), here.getBoundingClientRect()];
    row.scrollTo({ left: row.scrollLeft + box.left - frame.left - (frame.width - box.width) / 2 });
  }, [chosen]);
  return list;
}
