// Zoom and pan of a chart by wheel, drag, touch and keys. A range is a part of the steps; null is all of them.
import type uPlot from "uplot";
import type { Range } from "./plot";

export const LEAST_STEPS = 4;

/** A range moved or scaled, kept inside of `whole`; null where it is all of it. */
export function within(range: Range, whole: Range): Range | null {
  const width = Math.min(Math.max(range[1] - range[0], LEAST_STEPS), whole[1] - whole[0]);
  if (width >= whole[1] - whole[0]) return null;
  const middle = (range[0] + range[1]) / 2;
  const start = Math.min(Math.max(middle - width / 2, whole[0]), whole[1] - width);
  return [start, start + width];
}

/** Scaled about a step: a factor below 1 shows less. */
export const scaled = (range: Range, factor: number, about: number): Range => [
  about - (about - range[0]) * factor,
  about + (range[1] - about) * factor,
];

export const moved = (range: Range, by: number): Range => [range[0] + by, range[1] + by];

/** What a click on a step does where a step is held. Where picking leads elsewhere, the first click holds the step and
 * the next one on it picks it; the second of a double click does nothing, as that shows everything. */
export function afterClick(
  held: number | null,
  step: number,
  { offers, isFirst }: { offers: boolean; isFirst: boolean },
): { held: number | null; picks: boolean } {
  if (!offers) return { held: null, picks: true };
  if (!isFirst) return { held, picks: false };
  return { held: step, picks: held === step };
}

export const wholeOf = (plot: uPlot): Range => {
  const steps = plot.data[0];
  return [steps[0] ?? 0, steps[steps.length - 1] ?? 1];
};

export const shownOf = (plot: uPlot): Range => [plot.scales.x?.min ?? 0, plot.scales.x?.max ?? 1];

/** Ctrl and wheel zoom, wheel sideways pans, Shift and drag pans, a finger moves the crosshair. */
export function addGestures(plot: uPlot, onChange: (range: Range | null) => void): () => void {
  let waiting = 0;
  let next: Range | null = null;
  const onRange = (range: Range | null) => {
    next = range;
    cancelAnimationFrame(waiting); // one drawing for all events of a frame
    waiting = requestAnimationFrame(() => {
      next = null;
      onChange(range);
    });
  };
  const over = plot.over;
  const perPixel = () => {
    const [low, high] = shownOf(plot);
    return (high - low) / Math.max(1, over.clientWidth);
  };
  const wheel = (event: WheelEvent) => {
    const shown = next ?? shownOf(plot);
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const about = plot.posToVal(event.clientX - over.getBoundingClientRect().left, "x");
      onRange(within(scaled(shown, Math.exp(event.deltaY * 0.004), about), wholeOf(plot)));
      return;
    }
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (Math.abs(sideways) < Math.abs(event.shiftKey ? 0 : event.deltaY) || sideways === 0) return;
    event.preventDefault();
    const panned = within(moved(shown, sideways * perPixel()), wholeOf(plot));
    if (panned) onRange(panned);
  };
  let from: { x: number; range: Range } | null = null;
  const down = (event: MouseEvent) => {
    if (!event.shiftKey || event.button !== 0) return;
    event.stopImmediatePropagation(); // uPlot would start a selection
    event.preventDefault();
    from = { x: event.clientX, range: shownOf(plot) };
    document.addEventListener("mousemove", drag);
    document.addEventListener("mouseup", up, { once: true });
  };
  const drag = (event: MouseEvent) => {
    if (!from) return;
    const panned = within(moved(from.range, (from.x - event.clientX) * perPixel()), wholeOf(plot));
    if (panned) onRange(panned);
  };
  const up = () => {
    from = null;
    document.removeEventListener("mousemove", drag);
  };
  const touch = (event: PointerEvent) => {
    if (event.pointerType !== "touch") return;
    const box = over.getBoundingClientRect();
    plot.setCursor({ left: event.clientX - box.left, top: event.clientY - box.top });
  };
  over.addEventListener("wheel", wheel, { passive: false });
  over.addEventListener("mousedown", down, { capture: true });
  over.addEventListener("pointermove", touch);
  over.addEventListener("pointerdown", touch);
  over.style.touchAction = "pan-y";
  return () => {
    cancelAnimationFrame(waiting);
    up();
    over.removeEventListener("wheel", wheel);
    over.removeEventListener("mousedown", down, { capture: true });
    over.removeEventListener("pointermove", touch);
    over.removeEventListener("pointerdown", touch);
  };
}
