// @vitest-environment node
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

let server: Server;
let open = 0;
let most = 0;
const target = new EventTarget() as EventTarget & { hidden: boolean };

beforeEach(async () => {
  [open, most] = [0, 0];
  server = createServer((request, out) => {
    const last = Number(request.headers["last-event-id"] ?? 0);
    out.writeHead(200, { "content-type": "text/event-stream" });
    out.write(`id: ${last + 1}\ndata: ${request.url} ${last + 1}\n\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  vi.stubGlobal("window", { location: { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } });
  const real = globalThis.fetch;
  vi.stubGlobal("fetch", (request: Request, init?: RequestInit) => {
    most = Math.max(most, ++open);
    request.signal.addEventListener("abort", () => {
      open -= 1;
    });
    return real(request, init);
  });
  target.hidden = false;
  vi.stubGlobal("document", target);
  vi.resetModules();
});

afterEach(() => {
  vi.unstubAllGlobals();
  server.closeAllConnections();
  server.close();
});

const show = (isShown: boolean) => {
  target.hidden = !isShown;
  target.dispatchEvent(new Event("visibilitychange"));
};

test("streams of a page hold two connections, and each goes on in its turn", async () => {
  const { follow } = await import("@/api/stream");
  const seen: string[] = [];
  const states: string[] = [];
  const stops = Array.from({ length: 3 }, (_, at) =>
    follow(`/${at}`, { onEvent: ({ data }) => seen.push(data), onState: (state) => states.push(state) }),
  );
  await vi.waitFor(() => expect(new Set(seen.map((one) => one.slice(0, 2))).size).toBe(3), { timeout: 8_000 });
  await vi.waitFor(() => expect(seen).toContain("/0 2"), { timeout: 8_000 });
  expect(most).toBeLessThanOrEqual(2);
  expect(states).not.toContain("waiting"); // a turn that is over is no fault
  for (const stop of stops) stop();
  await vi.waitFor(() => expect(open).toBe(0));
});

test("a hidden page holds no connection, and goes on behind the last event when it is shown", async () => {
  const { follow } = await import("@/api/stream");
  const seen: string[] = [];
  const stop = follow("/0", { onEvent: ({ data }) => seen.push(data) });
  await vi.waitFor(() => expect(seen).toEqual(["/0 1"]));
  show(false);
  await vi.waitFor(() => expect(open).toBe(0));
  show(true);
  await vi.waitFor(() => expect(seen).toEqual(["/0 1", "/0 2"]));
  stop();
  await vi.waitFor(() => expect(open).toBe(0));
});
