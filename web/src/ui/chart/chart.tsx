// A chart of curves over training steps: raw and average, zoom, a crosshair that other charts share, keys, a table.
import "uplot/dist/uPlot.min.css";
import { Box, Button, VisuallyHidden } from "@chakra-ui/react";
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type uPlot from "uplot";
import { useDark } from "@/theme/mode";
import { count } from "../format";
import { addGestures, afterClick, moved, scaled, shownOf, wholeOf, within } from "./gestures";
import { reading } from "./numbers";
import { paletteOf } from "./palette";
import { type ChartSeries, columnAt, columnsOf, type Mark, makePlot, type Overlay, type Range } from "./plot";
import { nearestTo, notFinite, positionOf } from "./points";
import { Readouts, valueAt } from "./readouts";
import { CurveTable } from "./table";

export interface ChartProps {
  /** What the chart shows, for those who do not see it. */
  label: string;
  series: readonly ChartSeries[];
  /** 0 draws the values only; 0.9 also their average over about ten steps. */
  smoothing?: number;
  log?: boolean;
  height?: number;
  /** The steps in sight; null is all. Charts that are given the same range zoom together. */
  range?: Range | null;
  onRange?: (range: Range | null) => void;
  /** Charts of one name share the crosshair. */
  syncKey?: string;
  checkpoints?: readonly number[];
  picked?: number | null;
  /** A click on a step, or Enter at the crosshair. */
  onPick?: (step: number) => void;
  /** Where `onPick` leads elsewhere: a first click holds the crosshair and offers this, a second one goes. */
  offer?: (step: number) => string;
  asTable?: boolean;
}

function showRange(plot: uPlot, range: Range | null): void {
  const [low, high] = range ?? wholeOf(plot);
  plot.setScale("x", { min: low, max: high > low ? high : low + 1 });
}

const NO_STEPS: readonly number[] = [];

export function Chart({
  label,
  series,
  smoothing = 0,
  log = false,
  height = 220,
  range = null,
  onRange,
  syncKey,
  checkpoints = NO_STEPS,
  picked = null,
  onPick,
  offer,
  asTable = false,
}: ChartProps) {
  const { t } = useTranslation();
  const hint = useId();
  const isDark = useDark();
  const stage = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const cursor = useRef<number | null>(null);
  const write = useRef<(at: number) => void>(() => {});
  const [said, setSaid] = useState("");
  const [held, setHeld] = useState<number | null>(null);
  const marked = held ?? picked;
  const overlay = useRef<Overlay>({ marks: [], picked: null });
  const click = (step: number, isFirst: boolean) => {
    if (!onPick) return;
    const after = afterClick(held, step, { offers: offer !== undefined, isFirst });
    setHeld(after.held);
    if (after.picks) onPick(step);
  };
  const latest = useRef({ series, onRange, click, range });
  latest.current = { series, onRange, click, range };
  const columns = useMemo(() => columnsOf(series, smoothing, log), [series, smoothing, log]);
  const shape = `${series.map((one) => `${one.key}:${one.colour}`).join()}|${smoothing > 0}|${log}|${isDark}|${syncKey}`;

  // biome-ignore lint/correctness/useExhaustiveDependencies: data and range follow in the next effects
  useEffect(() => {
    const seat = stage.current;
    if (!seat || asTable) return;
    const made = makePlot(seat, {
      series: latest.current.series,
      smoothing,
      log,
      palette: paletteOf(seat),
      width: Math.max(120, seat.clientWidth),
      height,
      syncKey,
      overlay,
      onCursor: (at) => {
        cursor.current = at;
        read();
      },
      onRange: (next) => latest.current.onRange?.(within(next, wholeOf(made))),
    });
    plot.current = made;
    const remove = addGestures(made, (next) => latest.current.onRange?.(next));
    const reset = () => {
      setHeld(null);
      latest.current.onRange?.(null);
    };
    let downAt = { x: 0, y: 0 };
    const down = (event: MouseEvent) => {
      downAt = { x: event.clientX, y: event.clientY };
    };
    const clicked = (event: MouseEvent) => {
      if (Math.hypot(event.clientX - downAt.x, event.clientY - downAt.y) > 4 || event.shiftKey) return;
      const step = made.data[0][made.cursor.idx ?? -1];
      if (step !== undefined) latest.current.click(step, event.detail < 2);
    };
    made.over.addEventListener("dblclick", reset);
    made.over.addEventListener("mousedown", down);
    made.over.addEventListener("click", clicked);
    const watch = new ResizeObserver(() => {
      if (seat.clientWidth > 0 && seat.clientWidth !== made.width) made.setSize({ width: seat.clientWidth, height });
    });
    watch.observe(seat);
    return () => {
      watch.disconnect();
      remove();
      made.destroy();
      plot.current = null;
      cursor.current = null;
    };
  }, [shape, height, asTable]);

  useEffect(() => {
    const made = plot.current;
    if (!made || made.series.length !== columns.length) return;
    made.batch(() => {
      made.setData(columns, false);
      showRange(made, latest.current.range);
    });
  }, [columns]);

  useEffect(() => {
    if (plot.current) showRange(plot.current, range);
  }, [range]);

  useEffect(() => {
    const broken = series.flatMap((one) => notFinite(one.points));
    overlay.current = {
      marks: [
        ...checkpoints.map((step) => ({ step, kind: "checkpoint" }) as Mark),
        ...broken.map((step) => ({ step, kind: "broken" }) as Mark),
      ],
      picked: marked,
    };
    plot.current?.redraw(false);
  }, [checkpoints, marked, series]);

  const steps = columns[0];
  /** What is read out: at the crosshair, else at the step that was picked, else the last. */
  const read = () => {
    const { at, steps: all } = reader.current;
    const here = cursor.current;
    write.current(here !== null && here < all.length ? here : at);
  };
  const reader = useRef({ at: 0, steps });
  reader.current = { at: marked === null ? steps.length - 1 : nearestTo(steps, marked), steps };
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is written depends on all of these
  useEffect(read, [columns, marked]);

  const move = (at: number) => {
    const made = plot.current;
    if (!made || steps.length === 0) return;
    const to = Math.min(Math.max(at, 0), steps.length - 1);
    const shown = shownOf(made);
    const target = steps[to] as number;
    if (target < shown[0] || target > shown[1])
      onRange?.(within(moved(shown, target - (shown[0] + shown[1]) / 2), wholeOf(made)));
    requestAnimationFrame(() => made.setCursor({ left: made.valToPos(target, "x"), top: made.over.clientHeight / 2 }));
    const values = series.map(
      (one, seat) => `${one.label} ${reading(valueAt(columns, columnAt(series, seat, smoothing).raw, to))}`,
    );
    setSaid(t("chart.said", { step: count(target), values: values.join(", ") }));
  };

  const press = (event: KeyboardEvent) => {
    const made = plot.current;
    if (!made || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = shownOf(made);
    const width = Math.max(1, positionOf(steps, shown[1]) - positionOf(steps, shown[0]));
    const stride = event.shiftKey ? Math.max(1, Math.round(width / 10)) : Math.max(1, Math.round(width / 200));
    const about = cursor.current === null ? (shown[0] + shown[1]) / 2 : (steps[cursor.current] as number);
    const from = cursor.current ?? nearestTo(steps, (shown[0] + shown[1]) / 2);
    const zoom = (factor: number) => onRange?.(within(scaled(shown, factor, about), wholeOf(made)));
    if (event.key === "ArrowLeft") move(from - stride);
    else if (event.key === "ArrowRight") move(from + stride);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(steps.length - 1);
    else if (event.key === "+" || event.key === "=") zoom(0.6);
    else if (event.key === "-") zoom(1 / 0.6);
    else if (event.key === "Escape" && held !== null) setHeld(null);
    else if (event.key === "0" || event.key === "Escape") onRange?.(null);
    else if (event.key === "Enter" && held !== null) onPick?.(held);
    else if (event.key === "Enter" && cursor.current !== null) onPick?.(steps[cursor.current] as number);
    else return;
    event.preventDefault();
  };

  return (
    <Box position="relative">
      <Readouts series={series} columns={columns} smoothing={smoothing} write={write} />
      {asTable ? (
        <CurveTable
          label={label}
          series={series}
          columns={columns}
          height={height}
          onPick={onPick}
          smoothing={smoothing}
        />
      ) : (
        <Box
          ref={stage}
          tabIndex={0}
          role="application"
          aria-label={label}
          aria-describedby={hint}
          onKeyDown={press}
          onBlur={() => setSaid("")}
          h={`${height}px`}
          overflow="hidden"
          borderRadius="l2"
          cursor="crosshair"
          css={{
            "& .u-select": { background: "accent.muted", opacity: 0.5 },
            "& .u-cursor-x": { borderColor: "fg.subtle" },
            "& .uplot, & .uplot *": { fontFamily: "body" },
          }}
          _focusVisible={{ outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" }}
        />
      )}
      {offer && onPick && held !== null && !asTable && (
        <Button
          size="xs"
          variant="outline"
          bg="bg.panel"
          position="absolute"
          top="26px"
          right={{ base: 4, md: 5 }}
          zIndex={1}
          onClick={() => onPick(held)}
        >
          {offer(held)}
        </Button>
      )}
      <VisuallyHidden id={hint}>{t("chart.keys")}</VisuallyHidden>
      <VisuallyHidden aria-live="polite">{said}</VisuallyHidden>
    </Box>
  );
}
