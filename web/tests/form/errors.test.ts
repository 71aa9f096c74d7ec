import { expect, test } from "vitest";
import { Problem } from "@/api/problem";
import { faultsOf, faultsWithin } from "@/features/form/errors";

const problem = (detail: string, errors: { field: string; message: string }[] = []) =>
  new Problem(422, "wrong", detail, "ask.wrong-value", "correct it", null, errors);

test("faults that the server lists are taken as they are, without what the form shows by their place", () => {
  const faults = faultsOf(problem("…", [{ field: "tune.method.rank", message: "r.yaml:7: 'method.rank': too small" }]));
  expect(faults).toEqual([{ field: "tune.method.rank", message: "too small" }]);
  expect([...faultsWithin(faults, "tune")]).toEqual([["method.rank", "too small"]]);
  expect([...faultsWithin(faults, "tun")]).toEqual([]);
});

test("a text that names a setting of a step is put there", () => {
  const faults = faultsOf(problem("'score.model' refers to a step 'none' that is not in the recipe"));
  expect([...faultsWithin(faults, "score")]).toEqual([
    ["model", "'score.model' refers to a step 'none' that is not in the recipe"],
  ]);
  expect(faultsOf(problem("the disk is full"))).toEqual([]);
});
