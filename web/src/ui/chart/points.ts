// Points of a curve: smoothing, merging of what arrives late or twice, thinning. Nothing here draws.

/** A curve by its training steps, in rising order; a value may be NaN or infinite. */
export interface Points {
  steps: number[];
  values: number[];
}

/** The average of a curve over all its points, as the server gives it of a curve that it has thinned. */
export interface Average extends Points {
  smoothing: number;
  /** The average at each of the steps. */
  smoothed: number[];
  /** The sum of the weights that the last average stands on: with it the average goes on. */
  weight: number;
}

/** The first position whose step is not below `step`. */
export function positionOf(steps: readonly number[], step: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((steps[middle] as number) < step) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The position whose step is nearest; -1 of no steps. */
export function nearestTo(steps: readonly number[], step: number): number {
  const at = positionOf(steps, step);
  if (at === 0) return steps.length ? 0 : -1;
  if (at === steps.length) return at - 1;
  return (steps[at] as number) - step < step - (steps[at - 1] as number) ? at : at - 1;
}

/** Adds a point in place. A step that is there already gets the new value: a resumed run repeats steps. */
export function put(points: Points, step: number, value: number): void {
  const last = points.steps.at(-1);
  if (last === undefined || step > last) {
    points.steps.push(step);
    points.values.push(value);
    return;
  }
  const at = positionOf(points.steps, step);
  if (points.steps[at] === step) points.values[at] = value;
  else {
    points.steps.splice(at, 0, step);
    points.values.splice(at, 0, value);
  }
}

/**
 * The exponential moving average, with its start corrected as Adam does, so that the first values are not pulled to 0.
 * Steps may have gaps: the weight of what was falls by `smoothing` per step. A value that is not finite is passed over.
 */
export function ema(points: Points, smoothing: number): number[] {
  if (smoothing <= 0) return points.values.slice();
  return averaged(points, smoothing, { mean: 0, weight: 0, last: 0 });
}

/**
 * The averages that were given of a curve of which not all points are here; after them, or from the first point on that
 * has another value by now, as a resumed run repeats steps, the same formula goes on over the points.
 */
export function continued(points: Points, given: Average): Points {
  let held = 0;
  for (let at = 0; held < given.steps.length; held++) {
    const step = given.steps[held] as number;
    while (at < points.steps.length && (points.steps[at] as number) < step) at++;
    if (points.steps[at] === step && !Object.is(points.values[at], given.values[held])) break;
  }
  const last = given.steps[held - 1] ?? Number.NEGATIVE_INFINITY;
  const from = positionOf(points.steps, held < given.steps.length ? (given.steps[held] as number) : last + 1);
  const rest = { steps: points.steps.slice(from), values: points.values.slice(from) };
  const mean = given.smoothed[held - 1] ?? Number.NaN;
  // Of an average over many points at even distances the weight is that of the last one.
  const weight = Number.isFinite(mean) ? given.weight : 0;
  const start = { mean: weight ? mean * weight : 0, weight, last };
  return {
    steps: [...given.steps.slice(0, held), ...rest.steps],
    values: [...given.smoothed.slice(0, held), ...averaged(rest, given.smoothing, start)],
  };
}

function averaged(
  { steps, values }: Points,
  smoothing: number,
  start: { mean: number; weight: number; last: number },
): number[] {
  const out = new Array<number>(values.length);
  let { mean, weight, last } = start;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    const step = steps[at] as number;
    if (Number.isFinite(value)) {
      const kept = weight === 0 ? 0 : smoothing ** Math.max(1, step - last);
      mean = kept * mean + (1 - smoothing) * value;
      weight = kept * weight + (1 - smoothing);
      last = step;
    }
    out[at] = weight === 0 ? Number.NaN : mean / weight;
  }
  return out;
}

/** At most about `most` points: the first, the last, and the lowest and highest of each of equal parts. */
export function thinned(points: Points, most: number): Points {
  const count = points.steps.length;
  if (count <= most) return points;
  const parts = Math.max(1, Math.floor((most - 2) / 2));
  const kept = new Set<number>([0, count - 1]);
  for (let part = 0; part < parts; part++) {
    const end = Math.floor((count * (part + 1)) / parts);
    let low = -1;
    let high = -1;
    for (let at = Math.floor((count * part) / parts); at < end; at++) {
      const value = points.values[at] as number;
      if (!Number.isFinite(value)) continue;
      if (low < 0 || value < (points.values[low] as number)) low = at;
      if (high < 0 || value > (points.values[high] as number)) high = at;
    }
    if (low >= 0) kept.add(low).add(high);
  }
  const order = [...kept].sort((one, other) => one - other);
  return {
    steps: order.map((at) => points.steps[at] as number),
    values: order.map((at) => points.values[at] as number),
  };
}

/** Steps, and for each curve its values on them. */
export type Columns = [number[], ...(number | null)[][]];

/** Curves on the steps of all of them, as uPlot takes them: null where a curve has no value that can be drawn. */
export function aligned(curves: readonly Points[], positiveOnly = false): Columns {
  const first = curves[0];
  const same = first !== undefined && curves.every((curve) => curve.steps === first.steps);
  const steps = same
    ? first.steps
    : [...new Set(curves.flatMap((curve) => curve.steps))].sort((one, other) => one - other);
  const columns = curves.map((curve) => {
    const column = new Array<number | null>(steps.length).fill(null);
    let from = 0;
    for (let at = 0; at < curve.steps.length; at++) {
      const step = curve.steps[at] as number;
      const value = curve.values[at] as number;
      while ((steps[from] as number) < step) from++;
      if (Number.isFinite(value) && (!positiveOnly || value > 0)) column[from] = value;
    }
    return column;
  });
  return [steps, ...columns];
}

/** The steps whose value is no number that can be drawn. */
export const notFinite = (points: Points): number[] =>
  points.steps.filter((_, at) => !Number.isFinite(points.values[at]));
