// Charts of the page.
export { Chart, type ChartProps } from "./chart";
export { reading } from "./numbers";
export type { ChartSeries, Range } from "./plot";
export { type Average, type Points, put, thinned } from "./points";
