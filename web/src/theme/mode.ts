// Dark or light: what the system says, unless the reader chose. The class on <html> is what the tokens look at.
import { useSyncExternalStore } from "react";

export type Mode = "system" | "light" | "dark";
const KEY = "burnish.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

export function mode(): Mode {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function isDark(): boolean {
  return mode() === "dark" || (mode() === "system" && dark.matches);
}

export function applyMode(): void {
  const root = document.documentElement;
  root.classList.toggle("dark", isDark());
  root.classList.toggle("light", !isDark());
  for (const listener of listeners) listener();
}

export function setMode(chosen: Mode): void {
  if (chosen === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, chosen);
  applyMode();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** The chosen mode; the component is drawn again when it changes. */
export const useMode = (): Mode => useSyncExternalStore(subscribe, mode);
/** Whether the page is dark now; for what is drawn on a canvas. */
export const useDark = (): boolean => useSyncExternalStore(subscribe, isDark);

dark.addEventListener("change", applyMode);
window.addEventListener("storage", (event) => event.key === KEY && applyMode());
