// @vitest-environment node
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { follow } from "@/api/stream";

let server: Server;

async function serve(answer: RequestListener): Promise<void> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  vi.stubGlobal("window", { location: { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } });
}

afterEach(() => {
  vi.unstubAllGlobals();
  server.closeAllConnections();
  server.close();
});

const HEADERS = { "content-type": "text/event-stream" };

test("a stream that is cut again and again loses no event and doubles none", async () => {
  const asked: string[] = [];
  await serve((request, out) => {
    const last = Number(request.headers["last-event-id"] ?? 0);
    asked.push(String(last));
    out.writeHead(200, HEADERS);
    out.write("retry: 1\n\n");
    if (last >= 9) out.end("event: end\nid: 10\ndata: {}\n\n");
    else
      out.write(`id: ${last + 1}\ndata: ${last + 1}\n\nid: ${last + 2}\nda`, () => setTimeout(() => out.destroy(), 5)); // half an event
  });
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    follow("/events", {
      endEvent: "end",
      onEvent: ({ event, data }) => event === "message" && seen.push(data),
      onState: (state) => state === "closed" && resolve(),
    });
  });
  expect(seen).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  expect(asked).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
});

test("a refusal ends the stream and says why", async () => {
  let count = 0;
  await serve((_, out) => {
    count += 1;
    out.writeHead(404, { "content-type": "application/problem+json" });
    out.end(JSON.stringify({ title: "Gone", detail: "no such run", code: "ask.no-such-run", fix: "list the runs" }));
  });
  const code = await new Promise((resolve) => {
    follow("/events", { onEvent: () => {}, onState: (state, problem) => state === "closed" && resolve(problem?.code) });
  });
  expect([code, count]).toEqual(["ask.no-such-run", 1]);
});
