import { ChakraProvider } from "@chakra-ui/react";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, expect, test } from "vitest";
import { Problem } from "@/api/problem";
import { startLanguage } from "@/i18n";
import { system } from "@/theme/system";
import { ErrorCard } from "@/ui";

beforeAll(() => startLanguage());
afterEach(cleanup);

const show = (problem: Problem) =>
  render(
    <ChakraProvider value={system}>
      <ErrorCard error={problem} onRetry={() => {}} />
    </ChakraProvider>,
  );

test("an error is said once, and what is typed is marked", () => {
  show(new Problem(422, "A setting is wrong.", "'rank' is 0", "ask.wrong-value", "run `burnish plan`"));
  expect(screen.queryByText("A setting is wrong.")).toBeNull();
  expect(screen.getByText("burnish plan").tagName).toBe("CODE");
  expect(screen.getByRole("button", { name: "Try again" })).toBeTruthy();
});

test("what is not there is not asked for again", () => {
  show(new Problem(404, "There is no run.", "no run nope/1", "ask.no-such-run", "burnish runs list"));
  expect(screen.queryByRole("button", { name: "Try again" })).toBeNull();
});
