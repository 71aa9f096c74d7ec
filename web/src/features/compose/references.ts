// What a reference in a step may be: other steps, datasets, and models that are known.
import type { Suggestion } from "../form";
import { type Draft, stageOf } from "./draft";
import type { Stage } from "./queries";

export interface Known {
  datasets: readonly { ref: string; label: string }[];
  models: readonly { ref: string; label: string }[];
}

const LEAVES = new Set(["ref", "adapter", "model", "base"]);

/** Whether a path is that of the reference itself: the field, a member of it, or `ref` within. */
const isReference = (path: readonly string[]) => path.length <= 2 || LEAVES.has(path.at(-1) ?? "");

/** The kinds of artifact that a step may give; a training gives an adapter or a model, by its method. */
const givenBy = (stage: Stage): string[] =>
  stage.produces === "adapter" || stage.produces === "model" ? ["adapter", "model"] : [stage.produces];

export function suggestionsFor(
  draft: Draft,
  step: string,
  stage: Stage,
  stages: ReadonlyMap<string, Stage>,
  known: Known,
  groups: { steps: string; datasets: string; models: string },
) {
  return (path: string): readonly Suggestion[] | null => {
    const parts = path.split(".");
    const taken = stage.takes.find((one) => one.field === parts[0]);
    if (!taken || !isReference(parts)) return null;
    const takes = (kind: string) => taken.kinds.includes(kind);
    const steps = Object.entries(draft.steps).flatMap(([name, values]) => {
      const other = stages.get(stageOf(values));
      if (name === step || !other || !givenBy(other).some(takes)) return [];
      return [{ value: `step:${name}`, label: other.summary, group: groups.steps }];
    });
    const rows = takes("file") || takes("rows") || takes("dataset") ? known.datasets : [];
    const models = takes("model") ? known.models : [];
    return [
      ...steps,
      ...rows.map((one) => ({ value: one.ref, label: one.label, group: groups.datasets })),
      ...models.map((one) => ({ value: one.ref, label: one.label, group: groups.models })),
    ];
  };
}
