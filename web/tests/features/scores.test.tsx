import { ChakraProvider } from "@chakra-ui/react";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, expect, test } from "vitest";
import { DifferenceLine } from "@/features/evaluations/scores";
import { startLanguage } from "@/i18n";
import { system } from "@/theme/system";

beforeAll(() => startLanguage());
afterEach(cleanup);

const found = { score: "exact", base: "one", candidate: "other", rows: 8, delta: 0.2, low: 0.1, high: 0.3, test: "t" };
const rest = { p_value: 0.012, margin: null, detectable: null, verdict: "", higher_is_better: true };
const of = { sides: { one: "a/1", other: "b/1" } } as never;

test.each([
  [4, "p 0.012, corrected for 4 comparisons"],
  [1, "p 0.012"],
  [null, "p 0.012"],
])("a p-value that is corrected for %s comparisons says so", (corrected_for, said) => {
  render(
    <ChakraProvider value={system}>
      <DifferenceLine difference={{ ...found, ...rest, corrected_for }} of={of} />
    </ChakraProvider>,
  );
  expect(screen.getByTitle("t").textContent).toBe(said);
});
