// One uPlot: what it is made of, and what is drawn over it. React stands in chart.tsx.
import uPlot from "uplot";
import { tick } from "./numbers";
import { faded, type Palette } from "./palette";
import { type Average, aligned, type Columns, continued, ema, type Points } from "./points";

export interface ChartSeries {
  key: string;
  label: string;
  points: Points;
  /** 1 to 6: the colours of the theme, in their order. */
  colour: number;
  /** Of a curve of which not all points are here: its average over all of them; null until it has come. */
  average?: Average | null;
  /** Few points that are far apart, such as evaluations: each is a dot. */
  sparse?: boolean;
}

export type Range = readonly [number, number];

export interface Mark {
  step: number;
  kind: "checkpoint" | "broken";
}

/** What the drawing reads when it is drawn again; it changes without a new plot. */
export interface Overlay {
  marks: readonly Mark[];
  picked: number | null;
}

export interface PlotOptions {
  series: readonly ChartSeries[];
  smoothing: number;
  log: boolean;
  palette: Palette;
  width: number;
  height: number;
  syncKey?: string;
  overlay: { current: Overlay };
  onCursor: (at: number | null) => void;
  onRange: (range: Range) => void;
}

/** More dots than this would hide the curve that they stand on. */
const MOST_DOTS = 60;
const FONT = '11px Inter, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", system-ui, sans-serif';

/** The columns of a plot: for each series its values, and after them their average where it is drawn. */
export function columnsOf(series: readonly ChartSeries[], smoothing: number, log: boolean): Columns {
  const curves = series.flatMap((one) =>
    smoothed(one, smoothing) ? [one.points, averageOf(one, smoothing)] : [one.points],
  );
  return aligned(curves, log);
}

/** An average of only some of the points would be that of their extremes: it is drawn when the true one has come. */
function averageOf({ points, average }: ChartSeries, smoothing: number): Points {
  if (average === undefined) return { steps: points.steps, values: ema(points, smoothing) };
  return average?.smoothing === smoothing ? continued(points, average) : { steps: [], values: [] };
}

const smoothed = (series: ChartSeries, smoothing: number) => smoothing > 0 && !series.sparse;

/** The column of a series that is read out: its average if it is drawn, else its values. */
export function columnAt(
  series: readonly ChartSeries[],
  seat: number,
  smoothing: number,
): { raw: number; mean: number } {
  let at = 1;
  for (let one = 0; one < seat; one++) at += smoothed(series[one] as ChartSeries, smoothing) ? 2 : 1;
  return { raw: at, mean: smoothed(series[seat] as ChartSeries, smoothing) ? at + 1 : at };
}

/** Whether a curve has one point, through which no line goes. */
export function isLone(plot: Pick<uPlot, "data">, seat: number): boolean {
  let count = 0;
  for (const value of plot.data[seat] ?? []) if (value != null && Number.isFinite(value) && ++count > 1) return false;
  return count === 1;
}

export function makePlot(target: HTMLElement, options: PlotOptions): uPlot {
  const { palette, series, smoothing, log } = options;
  const lines: uPlot.Series[] = series.flatMap((one): uPlot.Series[] => {
    const colour = palette.series(one.colour);
    const few = one.sparse === true && one.points.steps.length <= MOST_DOTS;
    const points = { show: few || isLone, size: 6, width: 1.5, fill: palette.panel, stroke: colour };
    if (!smoothed(one, smoothing)) return [{ label: one.label, stroke: colour, width: 1.6, spanGaps: true, points }];
    return [
      { label: one.label, stroke: faded(colour, 0.36), width: 1, spanGaps: true, points: { show: false } },
      { label: one.label, stroke: colour, width: 1.8, spanGaps: true, points: { ...points, show: isLone } },
    ];
  });
  const axis: uPlot.Axis = {
    stroke: palette.text,
    font: FONT,
    grid: { stroke: palette.grid, width: 1 },
    ticks: { show: false },
    border: { show: false },
  };
  return new uPlot(
    {
      width: options.width,
      height: options.height,
      padding: [12, 14, 0, 0],
      legend: { show: false },
      scales: { x: { time: false }, y: log ? { distr: 3 } : { range: padded } },
      series: [{}, ...lines],
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 26,
          gap: 6,
          space: 48,
          incrs: STEPS,
          values: (_, all) => all.map(tick),
        },
        { ...axis, size: 52, gap: 8, space: 36, values: (_, all) => all.map((one) => (one === null ? "" : tick(one))) },
      ],
      cursor: {
        drag: { x: true, y: false, setScale: false, dist: 6 },
        points: { size: 7, width: 2, fill: palette.panel },
        focus: { prox: -1 },
        y: false,
        ...(options.syncKey && { sync: { key: options.syncKey, setSeries: false, scales: ["x", null] } }),
      },
      hooks: {
        setCursor: [(plot) => options.onCursor(plot.cursor.idx ?? null)],
        setSelect: [
          (plot) => {
            if (plot.select.width < 6) return;
            options.onRange([
              plot.posToVal(plot.select.left, "x"),
              plot.posToVal(plot.select.left + plot.select.width, "x"),
            ]);
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
        draw: [(plot) => drawOverlay(plot, palette, options.overlay.current)],
      },
    },
    columnsOf(series, smoothing, log),
    target,
  );
}

const STEPS = [1, 2, 5]
  .flatMap((digit) => Array.from({ length: 9 }, (_, power) => digit * 10 ** power))
  .sort((a, b) => a - b);

/** Room above and below; 0 stays the lowest where values reach down to it. */
function padded(_: uPlot, low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

function drawOverlay(plot: uPlot, palette: Palette, overlay: Overlay): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const inside = (x: number) => x >= bbox.left - 1 && x <= bbox.left + bbox.width + 1;
  ctx.save();
  for (const mark of overlay.marks) {
    const x = Math.round(plot.valToPos(mark.step, "x", true));
    if (!inside(x)) continue;
    const foot = bbox.top + bbox.height;
    ctx.beginPath();
    if (mark.kind === "checkpoint") {
      ctx.fillStyle = palette.line;
      ctx.moveTo(x, foot - 7 * ratio);
      ctx.lineTo(x + 3.5 * ratio, foot - 3.5 * ratio);
      ctx.lineTo(x, foot);
      ctx.lineTo(x - 3.5 * ratio, foot - 3.5 * ratio);
    } else {
      ctx.fillStyle = palette.danger;
      ctx.rect(x - ratio, bbox.top, 2 * ratio, 8 * ratio);
    }
    ctx.fill();
  }
  if (overlay.picked !== null) {
    const x = Math.round(plot.valToPos(overlay.picked, "x", true));
    if (inside(x)) {
      ctx.strokeStyle = palette.accent;
      ctx.lineWidth = 1.5 * ratio;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
  }
  ctx.restore();
}
