import { expect, test } from "vitest";
import type { RunDetail } from "@/features/run/api";
import { stoppedAt } from "@/features/run/finish";
import type { LiveStep } from "@/features/run/live";
import { notStarted, shownState } from "@/features/run/useRun";
import { trainingStep } from "@/features/runs/queries";

const detail = (state: string, more: Partial<RunDetail> = {}) =>
  ({ state, stop_requested: false, steps: [{ step: "tune", state }], ...more }) as RunDetail;
const live = new Map([["tune", { checkpoints: [4, 8] } as LiveStep]]);

test("a run that was stopped says where it is saved, and is no failure", () => {
  expect(stoppedAt(detail("interrupted"), live)).toEqual({ step: "tune", saved: 8 });
  expect(stoppedAt(detail("interrupted"), new Map())).toEqual({ step: "tune", saved: null });
  expect(stoppedAt(detail("failed"), live)).toBeNull();
});

test("a run is stopping until it has stopped", () => {
  expect(shownState(detail("running", { stop_requested: true }))).toBe("stopping");
  expect(shownState(detail("interrupted", { stop_requested: true }))).toBe("interrupted");
  expect(shownState(detail("running"))).toBe("running");
});

test("a step that has not started says why: it waits, the run has ended, or its folder is gone", () => {
  expect(notStarted(detail("queued"), "queued")).toBe("run.notStartedHint");
  expect(notStarted(detail("interrupted"), "cancelled")).toBe("run.notStartedEnded");
  expect(notStarted(detail("succeeded"), "removed")).toBe("run.removedHint");
});

test("the curve of a run is that of the training that runs or was stopped, where none has ended", () => {
  const step = (name: string, stage: string, state: string, metrics = {}) => ({ step: name, stage, state, metrics });
  const found = (...steps: object[]) => trainingStep({ steps } as never, new Set(["sft"]))?.step;
  expect(found(step("data", "prepare", "succeeded"), step("tune", "sft", "running"))).toBe("tune");
  expect(found(step("data", "prepare", "failed"), step("tune", "sft", "planned"))).toBeUndefined();
  expect(found(step("one", "sft", "succeeded", { last_loss: 1 }), step("two", "sft", "interrupted"))).toBe("one");
});
