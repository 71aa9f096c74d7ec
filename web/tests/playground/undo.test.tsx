import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Told } from "@/features/playground/ask";
import { useChat } from "@/features/playground/useChat";
import { startLanguage } from "@/i18n";

vi.mock("@/features/playground/ask", async (original) => ({
  ...(await original<object>()),
  ask: async (_: unknown, told: (event: Told) => void) => told({ event: "done", answer: "yes" } as Told),
}));

beforeAll(() => startLanguage());
beforeEach(() => localStorage.clear());
afterEach(cleanup);

test("a prompt that is asked again replaces the turns after it, until they are wanted back", async () => {
  const queries = new QueryClient();
  const { result } = renderHook(() => useChat("one", ["builtin:pocket"]), {
    wrapper: ({ children }) => <QueryClientProvider client={queries}>{children}</QueryClientProvider>,
  });
  const ask = (text: string, place: number) => act(() => result.current.start(text, place));
  const prompts = () => result.current.chat.turns.map((one) => one.prompt);
  await ask("a", 0);
  await ask("b", 1);
  await ask("c", 2);
  expect(result.current.replaced).toBe(0);
  await ask("a2", 0);
  expect([prompts(), result.current.replaced]).toEqual([["a2"], 3]);
  act(() => result.current.undo());
  expect([prompts(), result.current.replaced]).toEqual([["a", "b", "c"], 0]);
});
