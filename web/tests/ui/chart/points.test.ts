import { expect, test } from "vitest";
import { averageOf, pointsOf } from "@/features/compare/queries";
import { reading, tick } from "@/ui/chart/numbers";
import { columnsOf, isLone } from "@/ui/chart/plot";
import { aligned, ema, nearestTo, notFinite, type Points, put, thinned } from "@/ui/chart/points";

const curve = (...pairs: [number, number][]): Points => ({
  steps: pairs.map(([step]) => step),
  values: pairs.map(([, value]) => value),
});

test("the average of a constant is that constant from the first point on", () => {
  const flat = curve([1, 3], [2, 3], [3, 3]);
  for (const value of ema(flat, 0.99)) expect(value).toBeCloseTo(3, 12);
});

test("the average is that of its definition, with the start corrected", () => {
  expect(ema(curve([1, 1], [2, 2]), 0.5)[1]).toBeCloseTo((0.5 * 0.5 * 1 + 0.5 * 2) / (1 - 0.5 ** 2), 12);
});

test("what was ten steps ago weighs as if the steps between were there", () => {
  const gap = ema(curve([1, 0], [11, 1]), 0.9)[1] as number;
  const kept = 0.9 ** 10;
  expect(gap).toBeCloseTo(1 / (kept + 1), 12);
});

test("a value that is not finite is passed over by the average and is counted", () => {
  const broken = curve([1, Number.NaN], [2, 4], [3, Number.POSITIVE_INFINITY], [4, 4]);
  const [first, ...others] = ema(broken, 0.5);
  expect(first).toBeNaN();
  expect(others).toEqual([4, 4, 4]);
  expect(notFinite(broken)).toEqual([1, 3]);
});

test("no smoothing gives the values themselves", () => {
  expect(ema(curve([1, 5], [2, 7]), 0)).toEqual([5, 7]);
});

/** A skewed curve: all of it, and every hundredth point with the average over all, as the server thins it. */
function thinnedCurve(smoothing: number) {
  const steps = Array.from({ length: 5000 }, (_, at) => 10 * at + 10);
  const whole = { steps, values: steps.map((step) => ((step / 10) % 7 === 0 ? 4 : 0.1)) };
  const means = ema(whole, smoothing);
  const few = <Kind>(all: Kind[]) => all.filter((_, at) => at % 100 === 0 || at === all.length - 1);
  const kept = smoothing ** 10;
  const weight = ((1 - smoothing) * (1 - kept ** steps.length)) / (1 - kept);
  const points = { steps: few(steps), values: few(whole.values) };
  return { whole, points, average: { ...points, smoothing, smoothed: few(means), weight } };
}

test("a curve that was thinned is drawn with the average over all its points, and goes on from it", () => {
  const { whole, points, average } = thinnedCurve(0.9);
  const live: Points = { steps: [...points.steps], values: [...points.values] };
  for (let step = 50_010; step <= 50_100; step += 10) {
    put(whole, step, step / 50_000);
    put(live, step, step / 50_000);
  }
  const true_ = ema(whole, 0.9);
  const series = { key: "loss", label: "loss", colour: 1, points: live, average };
  const [steps, , means] = columnsOf([series], 0.9, false);
  steps.forEach((step, at) => {
    expect(means?.[at]).toBeCloseTo(true_[whole.steps.indexOf(step)] as number, 10);
  });
  const other = { ...average, steps: average.steps.slice(1), smoothed: average.smoothed.slice(1) };
  const shifted = { ...other, values: average.values.slice(1) }; // a later reply may keep other points
  expect(columnsOf([{ ...series, average: shifted }], 0.9, false)[2]?.slice(1)).toEqual(means?.slice(1));
  for (const wrong of [columnsOf([series], 0.99, false), columnsOf([{ ...series, average: null }], 0.9, false)])
    expect(wrong[2]?.every((value) => value === null)).toBe(true); // not come yet: none, and not that of a few points
});

test("from a step that has another value by now the average goes on anew", () => {
  const { points, average } = thinnedCurve(0.9);
  const live: Points = { steps: [...points.steps], values: [...points.values] };
  put(live, 30_010, 100);
  const means = columnsOf([{ key: "loss", label: "loss", colour: 1, points: live, average }], 0.9, false)[2] ?? [];
  const at = live.steps.indexOf(30_010);
  expect(means[at - 1]).toBe(average.smoothed[at - 1]);
  expect(means[at]).not.toBe(average.smoothed[at]);
});

test("Compare draws the averages that the server gives", () => {
  const curve = {
    steps: [1, 2],
    values: [1, "NaN" as const],
    at: [1, 2],
    count: 9000,
    smoothed: [0.5, 0.5],
    weight: 1,
  };
  const series = { key: "a", label: "a", colour: 1, points: pointsOf(curve), average: averageOf(curve, 0.9) };
  expect(columnsOf([series], 0.9, false)[2]).toEqual([0.5, 0.5]);
});

test("a step that arrives twice has its last value, one that arrives late its place", () => {
  const points = curve([1, 1], [3, 3]);
  put(points, 3, 30);
  put(points, 2, 2);
  put(points, 4, 4);
  expect(points).toEqual(curve([1, 1], [2, 2], [3, 30], [4, 4]));
});

test("thinning keeps the ends and every extreme", () => {
  const values = Array.from({ length: 10_000 }, (_, at) => Math.sin(at / 50));
  values[4321] = 99;
  values[8765] = -99;
  const few = thinned({ steps: values.map((_, at) => at), values }, 200);
  expect(few.steps.length).toBeLessThanOrEqual(202);
  expect(few.steps[0]).toBe(0);
  expect(few.steps.at(-1)).toBe(9999);
  expect(few.values).toContain(99);
  expect(few.values).toContain(-99);
  expect(few.steps).toEqual([...few.steps].sort((one, other) => one - other));
});

test("curves of different steps are drawn on the steps of both", () => {
  expect(aligned([curve([1, 10], [2, 20]), curve([2, 5], [4, 6])])).toEqual([
    [1, 2, 4],
    [10, 20, null],
    [null, 5, 6],
  ]);
});

test("a logarithmic axis leaves out what has no logarithm", () => {
  expect(aligned([curve([1, 0], [2, -1], [3, 1])], true)[1]).toEqual([null, null, 1]);
});

test("the nearest step is found, also beyond the ends", () => {
  expect([0, 12, 16, 99].map((step) => nearestTo([10, 20, 30], step))).toEqual([0, 0, 1, 2]);
  expect(nearestTo([], 5)).toBe(-1);
});

test("numbers are short and say what is no number", () => {
  expect([4.604905, 0.0004, 0, 6415.4, 123456, Number.NaN, -0.25, null].map(reading)).toEqual([
    "4.605",
    "4e−4",
    "0",
    "6415",
    "123k",
    "NaN",
    "−0.250",
    "–",
  ]);
  expect([0, 0.5, 20000, 0.0002, 150000].map(tick)).toEqual(["0", "0.5", "20k", "2e−4", "150k"]);
});

test("one point of a curve is drawn as a dot, as no line goes through it", () => {
  const plot = { data: [[1, 2, 3], [null, 5, null], [4, 5, null], [Number.NaN, null, null], []] } as never;
  expect([1, 2, 3, 4].map((seat) => isLone(plot, seat))).toEqual([true, false, false, false]);
});
