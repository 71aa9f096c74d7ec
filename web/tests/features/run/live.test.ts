import { expect, test } from "vitest";
import { panelsOf, spikesOf } from "@/features/run/curves";
import { etaOf, lastOf, RunFollower } from "@/features/run/live";

const metric = (step: number, loss: number | string) => ({ at: step, kind: "metric", step, values: { loss } });
const sent = (step: string, event: object, name = "message") => ({
  id: "1",
  event: name,
  data: JSON.stringify({ step, event }),
});
const live = (...events: object[]) => {
  const run = new RunFollower();
  for (const event of events) run.take(sent("tune", event));
  run.publish();
  return run;
};
const tune = (run: RunFollower) => run.snapshot().get("tune");

test("the same events twice are the events once", () => {
  const events = [
    { at: 1, kind: "note", level: "info", text: "hello" },
    { at: 1, kind: "chosen", field: "dtype", value: "float32", reason: "small" },
    metric(1, 4),
    metric(2, 3),
    { at: 3, kind: "checkpoint", step: 2, path: "x" },
    { at: 3, kind: "table", title: "T", columns: ["a"], rows: [["1"]] },
  ];
  const once = live(...events);
  const twice = live(...events, ...events);
  expect(tune(twice)).toEqual(tune(once));
  expect(tune(once)?.curves.loss).toEqual({ steps: [1, 2], values: [4, 3] });
});

test("a value that is no number stays one that can be seen", () => {
  const curve = tune(live(metric(1, 4), metric(2, "NaN"), metric(3, "Infinity")))?.curves.loss;
  expect(curve?.values).toEqual([4, Number.NaN, Number.POSITIVE_INFINITY]);
  expect(lastOf(curve)).toBe(4);
});

test("curves that were fetched and events that came before them are one curve", () => {
  const run = live(metric(3, 30), metric(4, 4));
  expect(run.hasStarted("tune")).toBe(false);
  run.start("tune", { loss: { steps: [1, 2, 3], values: [1, 2, 3] } });
  expect(run.hasStarted("tune")).toBe(true);
  expect(tune(run)?.curves.loss).toEqual({ steps: [1, 2, 3, 4], values: [1, 2, 30, 4] });
});

test("what did not change is the same object, so that it is not drawn again", () => {
  const run = live(metric(1, 4));
  run.take(sent("score", metric(1, 1)));
  run.publish();
  const before = run.snapshot();
  run.take(sent("score", metric(2, 2)));
  run.publish();
  expect(run.snapshot().get("tune")).toBe(before.get("tune"));
  expect(run.snapshot().get("score")).not.toBe(before.get("score"));
});

test("a curve that was shown does not change under its reader", () => {
  const run = live(metric(1, 4));
  const shown = tune(run)?.curves.loss;
  run.take(sent("tune", metric(2, 3)));
  run.publish();
  expect(shown).toEqual({ steps: [1], values: [4] });
});

test("a reset forgets what was not of this run", () => {
  const run = live(metric(1, 4));
  run.take(sent("", {}, "reset"));
  run.take(sent("data", metric(1, 1)));
  run.publish();
  expect([...run.snapshot().keys()]).toEqual(["data"]);
});

test("a line that is no event does no harm", () => {
  const run = new RunFollower();
  for (const data of ["{", "3", "null", '{"step":1}', '{"step":"a","event":null}'])
    run.take({ id: "", event: "message", data });
  run.publish();
  expect(run.snapshot().size).toBe(0);
});

test("a phase says when it ends by its rate, and a resumed step starts anew", () => {
  const progress = (at: number, done: number) => ({
    at,
    kind: "progress",
    phase: "train",
    done,
    total: 100,
    unit: "steps",
  });
  expect(etaOf(tune(live(progress(0, 20), progress(10, 40)))?.phase ?? null)).toBe(30);
  const resumed = live(
    progress(0, 20),
    progress(10, 40),
    { at: 50, kind: "state", state: "running" },
    progress(60, 40),
  );
  expect(etaOf(tune(resumed)?.phase ?? null)).toBeNull();
});

test("a resumed step has failed no more", () => {
  const failed = { at: 1, kind: "failed", code: "run.x", what: "w", fix: "f" };
  expect(tune(live(failed))?.failed?.code).toBe("run.x");
  expect(tune(live(failed, { at: 2, kind: "state", state: "running" }))?.failed).toBeNull();
});

test("an evaluation stands on the chart of its metric, and numbers that are no curves have none", () => {
  const points = { steps: [1], values: [1] };
  const panels = panelsOf({ eta_seconds: points, zeta: points, grad_norm: points, eval_loss: points, loss: points });
  expect(panels.map((panel) => [panel.key, panel.series.map((one) => one.key)])).toEqual([
    ["loss", ["loss", "eval_loss"]],
    ["grad_norm", ["grad_norm"]],
    ["zeta", ["zeta"]],
  ]);
});

test("a spike is found, and noise is none", () => {
  const values = Array.from({ length: 300 }, (_, at) => 2 + 0.1 * Math.sin(at * 1.7));
  const steps = values.map((_, at) => at);
  expect(spikesOf({ steps, values })).toEqual([]);
  values[200] = 6;
  expect(spikesOf({ steps, values })).toEqual([200]);
});

test("spikes are found while a loss falls, and after others", () => {
  const values = Array.from({ length: 60 }, (_, at) => 6 * 0.85 ** at + 0.1 + 0.02 * Math.sin(at * 1.7));
  const steps = values.map((_, at) => at + 1);
  expect(spikesOf({ steps, values })).toEqual([]);
  for (const at of [40, 42, 43]) values[at] = 5;
  expect(spikesOf({ steps, values })).toEqual([41, 43, 44]);
});

test("a loss that is flat near 0 has no spikes", () => {
  const steps = Array.from({ length: 60 }, (_, at) => at + 1);
  const values: number[] = steps.map((at) => (at === 40 ? 0.02 : 0.001));
  expect(spikesOf({ steps, values })).toEqual([]);
  values[40] = 0.4;
  expect(spikesOf({ steps, values })).toEqual([41]);
});
