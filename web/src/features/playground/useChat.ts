// The state of a conversation: its turns as they are answered, asked again, edited and voted on.
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { send } from "@/api/call";
import { asProblem, type Problem } from "@/api/problem";
import { tell, warn } from "@/ui";
import { ask, type Told } from "./ask";
import {
  type Answer,
  type Chat,
  emptyChat,
  isOpen,
  keepChat,
  keptChat,
  messagesFor,
  newTurn,
  parametersOf,
  type Turn,
} from "./chat";

function changed(told: Told, answer: Answer): Partial<Answer> {
  switch (told.event) {
    case "loading":
      return { state: "loading", note: told.text ?? "" };
    case "token":
      return { state: "answering", text: answer.text + (told.text ?? "") };
    case "done":
      return {
        state: "done",
        text: told.answer || answer.text,
        tokens: told.tokens ?? null,
        seconds: told.seconds ?? null,
      };
    case "error":
      return {
        state: "failed",
        note: [told.what ?? told.detail ?? told.title, told.fix].filter(Boolean).join(" "),
      };
    default:
      return {};
  }
}

export function useChat(id: string, models: string[]) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [chat, setChat] = useState<Chat>(() => keptChat(id) ?? emptyChat());
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [earlier, setEarlier] = useState<{ turns: Turn[]; place: number } | null>(null);
  const control = useRef<AbortController | null>(null);
  const now = useRef({ chat, models });
  now.current = { chat, models };

  useEffect(() => {
    if (!busy && chat.turns.length) keepChat(id, chat, now.current.models);
  }, [id, chat, busy]);
  useEffect(() => {
    const keep = () => now.current.chat.turns.length && keepChat(id, now.current.chat, now.current.models);
    window.addEventListener("pagehide", keep);
    return () => {
      window.removeEventListener("pagehide", keep);
      keep();
      control.current?.abort();
    };
  }, [id]);

  const change = useCallback(
    (place: number, which: (one: Answer) => boolean, next: (one: Answer) => Partial<Answer>) => {
      setChat((was) => ({
        ...was,
        turns: was.turns.map((turn, at) =>
          at === place
            ? { ...turn, answers: turn.answers.map((one) => (which(one) ? { ...one, ...next(one) } : one)) }
            : turn,
        ),
      }));
    },
    [],
  );

  /** Asks a prompt as the turn at a place; it and the turns after it can be had back until the next one. */
  const start = async (prompt: string, place: number) => {
    const asked = [...new Set(now.current.models.map((one) => one.trim()).filter(Boolean))];
    if (!prompt.trim() || !asked.length || busy) return;
    const { turns } = now.current.chat;
    const before = turns.slice(0, place);
    setEarlier(place < turns.length ? { turns, place } : null);
    const next: Chat = {
      ...now.current.chat,
      turns: [...before, newTurn(prompt, asked, now.current.chat.blind, before.at(-1))],
    };
    const stop = new AbortController();
    control.current = stop;
    setChat(next);
    setBusy(true);
    setProblem(null);
    const rest = parametersOf(next.sampling);
    const faults = await Promise.all(
      asked.map((model) =>
        ask(
          { models: [model], messages: messagesFor(next, place, model), ...rest },
          (told) =>
            change(
              place,
              (one) => one.model === model,
              (one) => changed(told, one),
            ),
          stop.signal,
        ).catch((error: unknown) => error),
      ),
    );
    const fault = faults.find((one) => one !== undefined);
    if (fault !== undefined && !stop.signal.aborted) setProblem(asProblem(fault));
    change(place, isOpen, () => ({ state: "stopped" }));
    setBusy(false);
  };

  const vote = async (place: number, better: number) => {
    const turn = chat.turns[place];
    if (!turn) return;
    try {
      const made = await send<{ rows: number }>("POST", "/api/v1/generate/votes", {
        messages: messagesFor(chat, place, turn.answers[better]?.model ?? ""),
        answers: turn.answers.map(({ model, text }) => ({ model, answer: text })),
        better,
      });
      setChat((was) => ({
        ...was,
        turns: was.turns.map((one, at) => (at === place ? { ...one, voted: better } : one)),
      }));
      tell(t("play.voted"), t("play.votedHint", { count: made.rows }));
      await queries.invalidateQueries({ queryKey: ["votes"] });
    } catch (error) {
      warn(t("play.notVoted"), error);
    }
  };

  /** The turns that the last prompt replaced are there again. */
  const undo = () => {
    if (!earlier || busy) return;
    setChat((was) => ({ ...was, turns: earlier.turns }));
    setEarlier(null);
    setProblem(null);
  };
  const replaced = earlier ? earlier.turns.length - earlier.place : 0;
  return { chat, setChat, problem, busy, start, vote, replaced, undo, stop: () => control.current?.abort() };
}
