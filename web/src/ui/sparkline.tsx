// A curve without axes, for a row of a table; of one point, a dot. Without any it keeps the place.
import { Box } from "@chakra-ui/react";

export interface SparklineProps {
  values: readonly number[];
  label: string;
  width?: number;
  height?: number;
}

export function Sparkline({ values, label, width = 96, height = 24 }: SparklineProps) {
  const known = values.filter(Number.isFinite);
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const pad = 2;
  const points = values
    .map((value, at) => [pad + (at / Math.max(1, values.length - 1)) * (width - 2 * pad), value] as const)
    .filter(([, value]) => Number.isFinite(value))
    .map(([x, value]) => [x.toFixed(1), (height - pad - ((value - low) / span) * (height - 2 * pad)).toFixed(1)]);
  const [only] = points;
  return (
    <Box w={`${width}px`} h={`${height}px`} color="series.1" flexShrink={0}>
      {only && (
        <svg role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
          {points.length === 1 ? (
            <circle cx={only[0]} cy={only[1]} r="2" fill="currentColor" />
          ) : (
            <polyline
              points={points.join(" ")}
              fill="none"
              stroke="currentColor"
              strokeWidth="1.5"
              strokeLinejoin="round"
              strokeLinecap="round"
            />
          )}
        </svg>
      )}
    </Box>
  );
}
