// @vitest-environment node
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { get, send } from "@/api/call";
import { onExpired, setCsrf } from "@/api/transport";

let server: Server;
let token: string;
let posts: [string, string][];

const bodyOf = async (request: IncomingMessage) => {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
};

beforeEach(async () => {
  posts = [];
  server = createServer(async (request, out) => {
    const given = String(request.headers["x-csrf-token"] ?? "");
    const body = await bodyOf(request);
    out.setHeader("content-type", "application/json");
    if (token === "ended") {
      out.writeHead(401).end("{}");
      return;
    }
    if (request.url === "/api/v1/session") {
      out.end(JSON.stringify({ csrf: token }));
      return;
    }
    posts.push([given, body]);
    out.writeHead(given === token && request.url !== "/never" ? 200 : 403);
    out.end(JSON.stringify({ code: "ask.not-allowed", detail: "no" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  vi.stubGlobal("window", { location: { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } });
});

afterEach(() => {
  vi.unstubAllGlobals();
  server.closeAllConnections();
  server.close();
});

test("a tab goes on when another tab has logged in: the change is sent once more with the new token", async () => {
  setCsrf("old");
  token = "new";
  await send("POST", "/runs", { a: 1 });
  expect(posts).toEqual([
    ["old", '{"a":1}'],
    ["new", '{"a":1}'],
  ]);
});

test("a change that is refused for another reason is sent once", async () => {
  setCsrf("same");
  token = "same";
  await expect(send("POST", "/never", {})).rejects.toMatchObject({ code: "ask.not-allowed", status: 403 });
  expect(posts.length).toBe(1);
});

test("each request that finds the session ended says so, a check of the session itself does not", async () => {
  setCsrf("old");
  token = "ended";
  let times = 0;
  const forget = onExpired(() => {
    times += 1;
  });
  await expect(get("/api/v1/runs")).rejects.toMatchObject({ status: 401 });
  await expect(send("POST", "/api/v1/jobs/1/cancel")).rejects.toMatchObject({ status: 401 });
  expect(times).toBe(2);
  await expect(get("/api/v1/session")).rejects.toMatchObject({ status: 401 });
  expect(times).toBe(2);
  forget();
});
