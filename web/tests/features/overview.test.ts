import { expect, test } from "vitest";
import { restOf } from "@/features/run/overview/rest";

test("the measures of an evaluation are those that its table of scores does not have", () => {
  const metrics = {
    rows: 9,
    exact: 0.5,
    exact_base: 0.1,
    exact_delta: 0.4,
    exact_verdict: "better",
    exact_delta_low: 0.1,
  };
  expect(restOf(metrics, true)).toEqual([["rows", 9]]);
  expect(restOf({ loss: 1, by_tag: {} }, false)).toEqual([["loss", 1]]);
});
