// How long ago something was, kept true while it is shown; the exact time is its title.
import { chakra } from "@chakra-ui/react";
import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { ago, moment } from "./format";

let minute = 0;
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  timer ??= setInterval(() => {
    minute += 1;
    for (const one of listeners) one();
  }, 30_000);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) {
      clearInterval(timer);
      timer = undefined;
    }
  };
};

export function Ago({ at }: { at: number }) {
  useTranslation(); // drawn again in another language
  useSyncExternalStore(subscribe, () => minute);
  return (
    <chakra.time dateTime={new Date(at * 1000).toISOString()} title={moment(at)} whiteSpace="nowrap">
      {ago(at)}
    </chakra.time>
  );
}
