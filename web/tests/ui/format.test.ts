import { expect, test } from "vitest";
import { percent } from "@/ui/format";

test.each([
  [0, "0%"],
  [0.004, "<1%"],
  [0.42, "42%"],
  [0.996, ">99%"],
  [1, "100%"],
])("a part of %d is %s: what is not quite nothing or all is not called that", (value, shown) => {
  expect(percent(value)).toBe(shown);
});
