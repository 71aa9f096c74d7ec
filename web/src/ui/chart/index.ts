// Charts of the page.
export { Chart, type ChartProps } from "./chart";
export { reading, smoothingFor } from "./numbers";
export type { ChartSeries, Range } from "./plot";
export { type Average, type Points, put, thinned } from "./points";
