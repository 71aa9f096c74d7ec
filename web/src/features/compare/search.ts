// What the address of Compare says: two runs, the curve that is shown, and the answers. A reload shows the same.
import { type Order, orderOf } from "@/features/evaluations/order";

export interface CompareSearch {
  one?: string;
  other?: string;
  /** The step and the metric of the curves, and whether their scale is logarithmic. */
  step?: string;
  metric?: string;
  log?: true;
  /** The step whose answers are shown, their order, and what is searched for in them. */
  answers?: string;
  order?: Order;
  q?: string;
}

const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);

export const compareSearch = (search: Record<string, unknown>): CompareSearch => ({
  one: text(search.one),
  other: text(search.other),
  step: text(search.step),
  metric: text(search.metric),
  log: search.log === true ? true : undefined,
  answers: text(search.answers),
  order: orderOf(search.order),
  q: text(search.q),
});
