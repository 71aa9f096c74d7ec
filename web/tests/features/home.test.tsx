import { ChakraProvider } from "@chakra-ui/react";
import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { queries } from "@/api/queries";
import { doctorQuery, machineQuery } from "@/features/machine/queries";
import { type RunSummary, runsQuery } from "@/features/runs/queries";
import { startLanguage } from "@/i18n";
import Home from "@/routes/home";
import { system } from "@/theme/system";

const step = (state: string) => ({ step: "tune", state, metrics: {} });
const run = (recipe: string, state: string) =>
  ({
    run: `${recipe}/1`,
    recipe,
    number: 1,
    state,
    reason: null,
    created: 1,
    seconds: 1,
    steps: [step(state)],
  }) as never;
let asked: string[];

/** A server that knows one curve, and whose streams stay open. */
function answered(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  asked.push(pathname + search);
  if (pathname.endsWith("/events")) return Promise.resolve(new Response(new ReadableStream()));
  if (pathname.endsWith("/curves"))
    return Promise.resolve(Response.json({ curves: { loss: { steps: [7], values: [2.5] } } }));
  if (pathname.endsWith("/stages")) return Promise.resolve(Response.json([]));
  return Promise.resolve(Response.json({ jobs: [], counts: {}, names: ["cpu"] }));
}

beforeAll(() => startLanguage());
beforeEach(() => {
  asked = [];
  vi.stubGlobal("fetch", answered);
  const hardware = { cores: 2, memory_bytes: 8e9, free_disk_bytes: 1e9 };
  queries.setQueryData(machineQuery.queryKey, { machine: hardware } as never);
  queries.setQueryData(doctorQuery.queryKey, []);
});
afterEach(() => {
  cleanup();
  queries.clear();
  vi.unstubAllGlobals();
});

function shown(runs: RunSummary[]) {
  queries.setQueryData(runsQuery.queryKey, runs);
  const routeTree = createRootRoute({ component: Home });
  const router = createRouter({ routeTree, history: createMemoryHistory() });
  render(
    <ChakraProvider value={system}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router as never} />
      </QueryClientProvider>
    </ChakraProvider>,
  );
}
const linksTo = (recipe: string) =>
  screen.getAllByRole("link").filter((link) => link.getAttribute("href") === `/runs/${recipe}/1`);

test("a run at work is shown once, and those that have ended are in the list", async () => {
  shown([run("busy", "running"), run("done", "succeeded")]);
  await screen.findByRole("article", { name: "busy/1" });
  expect(linksTo("busy").length).toBe(1);
  expect(linksTo("done").length).toBe(1);
});

test("a run at work sends its curve once and no event of before; one point of a curve is a dot", async () => {
  shown([run("busy", "running")]);
  await screen.findByText("Loss 2.5");
  expect(document.querySelectorAll("article svg circle[fill=currentColor]").length).toBe(1);
  expect(asked.filter((path) => path.includes("/events"))).toEqual(["/api/v1/runs/busy/1/events?brief=now"]);
  expect(asked.filter((path) => path.includes("/curves")).length).toBe(1);
});

test("of thousands of findings a few are shown, problems first, and the others are counted", async () => {
  const found = (level: string, at: number) => ({ level, subject: `${level} ${at}`, what: "is odd", fix: "" });
  const many = (level: string, count: number) => Array.from({ length: count }, (_, at) => found(level, at));
  queries.setQueryData(doctorQuery.queryKey, [
    ...many("warning", 10),
    ...many("ok", 9),
    ...many("problem", 3),
  ] as never);
  shown([run("done", "succeeded")]);
  await screen.findByText("problem 2: is odd");
  expect(screen.getAllByText(/is odd/).length).toBe(6);
  await screen.findByText(/^7 more/);
});
