import { expect, test } from "vitest";
import { noteDate, serverNow } from "@/api/clock";

const now = () => Date.now() / 1000;
const at = (ahead: number) => new Date(Date.now() + ahead * 1000).toUTCString();

test("a server whose clock is minutes off tells its time by its replies", () => {
  noteDate(at(600));
  expect(Math.abs(serverNow() - now() - 600)).toBeLessThan(2);
  noteDate(null);
  noteDate("no date");
  expect(Math.abs(serverNow() - now() - 600)).toBeLessThan(2);
  noteDate(at(0));
  expect(Math.abs(serverNow() - now())).toBeLessThan(0.1);
});
