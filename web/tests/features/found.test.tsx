import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

const browser = window as unknown as { happyDOM: { setURL: (url: string) => void } };
const run = (number: number) => ({ run: `demo/${number}`, recipe: "demo", number, steps: [] });
let server: Server;

beforeAll(async () => {
  server = createServer((request, out) => {
    const words = new URL(request.url ?? "", "http://x").searchParams.get("q");
    const runs = words === null ? [run(250), run(249)] : words === "demo #3" ? [run(3)] : [run(250), run(25)];
    out.setHeader("Content-Type", "application/json");
    out.end(JSON.stringify({ runs, next: null, total: 250 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  browser.happyDOM.setURL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/compare`);
});
afterEach(cleanup);
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test.each([
  ["", ["demo/250", "demo/249"]],
  ["demo#3", ["demo/250", "demo/249", "demo/3"]],
  ["demo 25", ["demo/250", "demo/249", "demo/25"]],
])("for '%s' the newest runs are listed, and each older one that the server finds, once", async (typed, names) => {
  const { useFoundRuns } = await import("@/features/runs/found"); // after the address of the server is known
  const client = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  const { result } = renderHook(() => useFoundRuns(typed), { wrapper });
  await waitFor(() => expect(result.current.map((one) => one.run)).toEqual(names));
  client.clear();
});
