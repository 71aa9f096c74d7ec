import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { cleanup, renderHook, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cancel, forget, sendFile, useSending } from "@/features/data/sending";

const browser = window as unknown as { happyDOM: { setURL: (url: string) => void } };
let server: Server;
let reply: string | null;

beforeEach(async () => {
  server = createServer((request, out) => {
    request.resume();
    request.on("end", () => {
      if (reply !== null) out.end(reply);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  browser.happyDOM.setURL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/data`);
});

afterEach(() => {
  cleanup();
  server.closeAllConnections();
  server.close();
});

const file = () => new File(["{}\n"], "rows.jsonl");

test("a file that is sent is listed on every screen until it is dismissed", async () => {
  reply = '{"name":"rows-2.jsonl"}';
  const { unmount } = renderHook(useSending);
  const sent = sendFile(file());
  unmount(); // another screen
  expect(await sent).toBe("rows-2.jsonl");
  const seen = renderHook(useSending).result;
  expect(seen.current.map((one) => one.name)).toEqual(["rows-2.jsonl"]);
  forget(seen.current[0]?.id ?? -1);
  await waitFor(() => expect(seen.current).toEqual([]));
});

test("an answer that is no record ends the upload with what it is", async () => {
  reply = "<html>a proxy</html>";
  const { result } = renderHook(useSending);
  expect(await sendFile(file())).toBeNull();
  await waitFor(() => expect(result.current[0]?.problem?.message).toBeTruthy());
  forget(result.current[0]?.id ?? -1);
});

test("an upload that is cancelled leaves the list", async () => {
  reply = null;
  const { result } = renderHook(useSending);
  const sent = sendFile(file());
  await waitFor(() => expect(result.current.length).toBe(1));
  cancel(result.current[0]?.id ?? -1);
  expect(await sent).toBeNull();
  await waitFor(() => expect(result.current).toEqual([]));
});
