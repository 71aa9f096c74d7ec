import { expect, test } from "vitest";
import { filtered, LogReader, marked, plain } from "@/features/run/logs/lines";

const read = (text: string) => {
  const reader = new LogReader();
  reader.take(new TextEncoder().encode(text), true);
  return reader.lines;
};
const LOG = [
  "2026-11-23 02:25:50,419 DEBUG   burnish: pid 12770",
  "2026-11-23 02:25:51,000 ERROR   burnish: it broke",
  "Traceback (most recent call last):",
  '  File "x.py", line 1',
  "2026-11-23 02:25:52,000 INFO    burnish: after",
].join("\n");

test("a line has its time, its level and its text; what goes on belongs to the line before it", () => {
  const lines = read(LOG);
  expect(lines.map((line) => line.level)).toEqual(["debug", "error", "error", "error", "info"]);
  expect(lines[0]).toEqual({
    number: 1,
    level: "debug",
    time: "02:25:50.419",
    moment: "2026-11-23 02:25:50.419",
    isServers: true,
    text: "burnish: pid 12770",
  });
  expect(lines[3]?.text).toBe('  File "x.py", line 1');
});

test("a line whose zone is known has the time of the reader's zone", () => {
  const zone = process.env.TZ;
  process.env.TZ = "Asia/Kolkata";
  try {
    const reader = new LogReader();
    reader.add("2026-11-23 20:25:50,419 INFO    burnish: late", "2026-11-23T20:25:50.419+00:00");
    reader.add("it goes on", null);
    expect(reader.lines[0]).toMatchObject({
      time: "01:55:50.419",
      moment: "2026-11-24 01:55:50.419",
      isServers: false,
    });
    expect(reader.lines[1]).toMatchObject({ time: "", moment: "", isServers: false });
  } finally {
    process.env.TZ = zone;
  }
});

test("a traceback in a frame is an error up to the next line with a head", () => {
  const framed = [
    "2026-11-23 02:25:50,419 DEBUG   burnish: job",
    "╭── Traceback (most recent call last) ──╮",
    "│ x.py:1 │",
    "DataError: too long",
    "2026-11-23 02:25:52,000 INFO    burnish: after",
  ];
  expect(read(framed.join("\n")).map((line) => line.level)).toEqual(["debug", "error", "error", "error", "info"]);
});

test("a log that arrives byte by byte is the same log", () => {
  const bytes = new TextEncoder().encode(`${LOG}\n✓ fertig 完成`);
  const reader = new LogReader();
  for (const byte of bytes) reader.take(new Uint8Array([byte]));
  reader.take(new Uint8Array(), true);
  expect(reader.lines).toEqual(read(`${LOG}\n✓ fertig 完成`));
});

test("the codes of a terminal are harmless", () => {
  expect(
    plain("\u001b[31mred\u001b[0m \u001b]0;title\u0007after \u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\"),
  ).toBe("red after link");
  expect(plain("10 %\r50 %\r100 %\r")).toBe("100 %");
  expect(plain("a\u202eb\u0000c\u0007d\te")).toBe("abcd\te");
  expect(plain("\u001b[")).toBe("[");
});

test("a filter takes levels and words together, in any case", () => {
  const lines = read(LOG);
  expect(filtered(lines, { words: "", least: "warning" })).toEqual([1, 2, 3]);
  expect(filtered(lines, { words: "BURNISH", least: "info" })).toEqual([1, 4]);
  expect(filtered(lines, { words: "", least: "debug" }, 3)).toEqual([3, 4]);
});

test("a hundred thousand lines are read and searched at once", () => {
  const long = Array.from(
    { length: 100_000 },
    (_, at) => `2026-11-23 02:25:50,419 INFO burnish: step ${at} loss ${at / 7}`,
  );
  const began = performance.now();
  const lines = read(long.join("\n"));
  expect(filtered(lines, { words: "step 99999", least: "debug" })).toEqual([99_999]);
  expect(performance.now() - began).toBeLessThan(4_000);
});

test("what was searched for is marked where it stands", () => {
  expect(marked("a Loss of loss", "loss")).toEqual(["a ", "Loss", " of ", "loss", ""]);
  expect(marked("abc", "")).toEqual(["abc"]);
  expect(marked("İstanbul x", "x")).toEqual(["İstanbul x"]); // its small letters are more, so places would be wrong
});
