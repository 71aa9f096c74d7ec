import { expect, test } from "vitest";
import { eventReader, type StreamEvent } from "@/api/stream";

function read(...chunks: string[]): StreamEvent[] {
  const found: StreamEvent[] = [];
  const feed = eventReader((event) => found.push(event));
  for (const chunk of chunks) feed(chunk);
  return found;
}

test("an event has its id, its name and all its lines", () => {
  expect(read("id: 7\nevent: metric\ndata: one\ndata: two\n\n")).toEqual([
    { id: "7", event: "metric", data: "one\ntwo" },
  ]);
});

test("an event that comes in pieces is one event", () => {
  const whole = 'id: 1\r\ndata: {"loss": 2.5}\r\n\r\n';
  for (let cut = 1; cut < whole.length; cut++)
    expect(read(whole.slice(0, cut), whole.slice(cut))).toEqual([{ id: "1", event: "message", data: '{"loss": 2.5}' }]);
});

test("comments that keep a connection alive are no events, and an id stays until another", () => {
  expect(read(": ping\n\n", "id: 3\ndata: a\n\n", "data: b\n\n").map((event) => event.id)).toEqual(["3", "3"]);
});

test("an event without its empty line is not given", () => {
  expect(read("id: 4\ndata: half\n")).toEqual([]);
});
