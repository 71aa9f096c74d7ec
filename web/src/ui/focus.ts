// Where the focus is, when what had it goes away.
import { type RefObject, useEffect, useRef } from "react";

/** For the button that opens an editor in its place: it has the focus again when the editor is closed. */
export function useReturn<Element extends HTMLElement = HTMLButtonElement>(isOpen: boolean): RefObject<Element | null> {
  const opener = useRef<Element>(null);
  const was = useRef(isOpen);
  useEffect(() => {
    if (was.current && !isOpen) opener.current?.focus();
    was.current = isOpen;
  }, [isOpen]);
  return opener;
}

/** After a new screen is shown, a reader by keyboard or by ear begins at its title; a field that took the focus keeps it. */
export function focusTitle(): void {
  const { activeElement } = document;
  const main = document.getElementById("main");
  if (activeElement && activeElement !== main && main?.contains(activeElement)) return;
  document.getElementById("page-title")?.focus({ preventScroll: true });
}
