import { expect, test } from "vitest";
import { noteDate, serverNow } from "@/api/clock";
import { reading } from "@/ui/chart/numbers";
import { ago, measure, percent } from "@/ui/format";

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

test.each([4.842e-5, -4.842e-5, 0.000999])("%d is the same number in a text and on a chart", (value) => {
  expect(measure(value)).toBe(reading(value));
});

test("a number below 0 has a minus, not a hyphen", () => {
  expect([-0.0357, -3, -12_345.6].map(measure)).toEqual(["−0.0357", "−3", "−12,346"]);
});
