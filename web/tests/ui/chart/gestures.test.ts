import { expect, test } from "vitest";
import { afterClick } from "@/ui/chart/gestures";

const offering = (held: number | null, step: number, isFirst = true) =>
  afterClick(held, step, { offers: true, isFirst });

test("a first click holds a step, another on it goes, and a double click goes nowhere", () => {
  expect(offering(null, 12)).toEqual({ held: 12, picks: false });
  expect(offering(12, 12, false)).toEqual({ held: 12, picks: false });
  expect(offering(12, 14)).toEqual({ held: 14, picks: false });
  expect(offering(12, 12)).toEqual({ held: 12, picks: true });
  expect(afterClick(null, 12, { offers: false, isFirst: true }).picks).toBe(true);
});
