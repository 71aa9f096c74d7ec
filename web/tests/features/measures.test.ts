import { expect, test } from "vitest";
import { headlines } from "@/features/runs/measures";

const step = (name: string, metrics: Record<string, unknown>) => ({ step: name, stage: "evaluate", metrics });

test("every evaluation is listed with what it found, and how many rows a dataset has is no result", () => {
  const found = headlines([
    step("data", { rows: 1285 }),
    step("tune", { last_loss: 0.5 }),
    step("score", { rows: 9, exact_match: 0.4, exact_match_delta: 0.4, exact_match_verdict: "better" }),
    step("forgetting", {
      rows: 9,
      exact_match: 0.2,
      exact_match_delta: -0.1,
      exact_match_verdict: "not enough evidence",
    }),
    step("own", { rows: 9, tool_call: 1, tool_call_base: 0.5, tool_call_delta: 0.5, tool_call_verdict: "better" }),
    step("tune_more", { last_loss: 0.25 }),
  ]);
  expect(found.map(({ step, name, delta, verdict }) => [step, name, delta, verdict])).toEqual([
    ["score", "exact_match", 0.4, "better"],
    ["forgetting", "exact_match", -0.1, "not enough evidence"],
    ["own", "tool_call", 0.5, "better"],
    ["tune_more", "last_loss", null, ""],
  ]);
  expect(headlines([step("data", { rows: 1285 })])).toEqual([]);
});
