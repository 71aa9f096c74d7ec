import { expect, test } from "vitest";
import { noteDate, serverNow } from "@/api/clock";
import { ago, percent } from "@/ui/format";

test.each([
  [0, "0%"],
  [0.004, "<1%"],
  [0.42, "42%"],
  [0.996, ">99%"],
  [1, "100%"],
])("a part of %d is %s: what is not quite nothing or all is not called that", (value, shown) => {
  expect(percent(value)).toBe(shown);
});

test("how long ago something was is told on the server's clock", () => {
  noteDate(new Date(Date.now() + 7_200_000).toUTCString());
  expect(ago(serverNow() - 180)).toBe("3 min. ago");
  noteDate(new Date().toUTCString());
});
