import { expect, test } from "vitest";
import { Problem } from "@/api/problem";
import { faultsOf, faultsWithin, sorted } from "@/features/form/errors";

const problem = (detail: string, errors: { field: string; message: string }[] = []) =>
  new Problem(422, "wrong", detail, "ask.wrong-value", "correct it", null, errors);

test("faults that the server lists are taken as they are, without what the form shows by their place", () => {
  const faults = faultsOf(problem("…", [{ field: "tune.method.rank", message: "r.yaml:7: 'method.rank': too small" }]));
  expect(faults).toEqual([{ field: "tune.method.rank", message: "too small", isMissing: false }]);
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

test("a required setting is no error until it is touched", () => {
  const faults = faultsOf(
    problem("…", [
      { field: "tune.data", message: "'data' is missing" },
      { field: "tune.method.rank", message: "'method.rank': too small" },
    ]),
  );
  const fields = (touched: string[]) => {
    const { wrong, open } = sorted(faults, new Set(touched));
    return [wrong.map((one) => one.field), open.map((one) => one.field)];
  };
  expect(fields([])).toEqual([["tune.method.rank"], ["tune.data"]]);
  expect(fields(["tune.dat", "tune.base"])).toEqual(fields([]));
  expect(fields(["tune.data"])).toEqual([["tune.data", "tune.method.rank"], []]);
});
