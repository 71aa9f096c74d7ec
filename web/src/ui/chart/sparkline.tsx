// A curve as small as a word. It is said as its first and last value.
import { Box } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { figure } from "./numbers";
import { type Points, thinned } from "./points";

export interface SparklineProps {
  points: Points;
  /** What it shows. */
  label: string;
  width?: number;
  height?: number;
  colour?: number;
}

export function Sparkline({ points, label, width = 72, height = 20, colour = 1 }: SparklineProps) {
  const { t } = useTranslation();
  const { steps, values } = thinned(points, 80);
  const finite = values.filter(Number.isFinite);
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const first = steps[0] ?? 0;
  const span = (steps.at(-1) ?? 1) - first || 1;
  const place = (at: number) => {
    const x = 1 + (((steps[at] as number) - first) / span) * (width - 2);
    const y = high === low ? height / 2 : height - 2 - (((values[at] as number) - low) / (high - low)) * (height - 4);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  };
  const shown = values.map((value, at) => (Number.isFinite(value) ? at : -1)).filter((at) => at >= 0);
  const said = t("chart.sparkline", { label, first: figure(finite[0]), last: figure(finite.at(-1)) });
  return (
    <Box asChild display="block" flexShrink={0} color={`series.${colour}`}>
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={said}>
        {shown.length > 1 && (
          <path
            d={`M${shown.map(place).join("L")}`}
            fill="none"
            stroke="currentColor"
            strokeWidth={1.5}
            strokeLinejoin="round"
            strokeLinecap="round"
          />
        )}
      </svg>
    </Box>
  );
}
