// Charts of the page.
export { Chart, type ChartProps } from "./chart";
export { compact, count, figure } from "./numbers";
export type { ChartSeries, Range } from "./plot";
export { type Points, put } from "./points";
export { Sparkline } from "./sparkline";
