import { ChakraProvider } from "@chakra-ui/react";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeAll, expect, test } from "vitest";
import { startLanguage } from "@/i18n";
import { system } from "@/theme/system";
import { later, useLater } from "@/ui/later";
import { Toasts } from "@/ui/toast";

beforeAll(() => startLanguage());
afterEach(cleanup);

/** A fetch that fails at first. */
function flaky() {
  let tries = 0;
  return () =>
    ++tries === 1
      ? Promise.reject(new TypeError("Failed to fetch dynamically imported module"))
      : Promise.resolve({ default: ({ text }: { text: string }) => <p>{text}</p> });
}

test("a part that could not be fetched is fetched again", async () => {
  const Part = later(flaky(), () => <p>waiting</p>);
  render(<ChakraProvider value={system}>{<Part text="here" />}</ChakraProvider>);
  expect(screen.getByText("waiting")).toBeDefined();
  await screen.findByText("A part of the page could not be loaded");
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  await screen.findByText("here");
});

test("what opens at a press says that it could not be fetched, and opens at the next press", async () => {
  const load = flaky();
  function Frame() {
    const [Part, need] = useLater(load);
    return (
      <>
        <button type="button" onClick={need}>
          open
        </button>
        {Part && <Part text="here" />}
        <Toasts />
      </>
    );
  }
  render(<ChakraProvider value={system}>{<Frame />}</ChakraProvider>);
  await userEvent.click(screen.getByRole("button", { name: "open" }));
  await screen.findByText("A part of the page could not be loaded");
  await userEvent.click(screen.getByRole("button", { name: "open" }));
  await screen.findByText("here");
});
