import { ChakraProvider } from "@chakra-ui/react";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, beforeAll, expect, test } from "vitest";
import { Reference } from "@/features/form";
import { startLanguage } from "@/i18n";
import { system } from "@/theme/system";

beforeAll(() => startLanguage());
afterEach(cleanup);

test("a space can be typed in a reference, and those around are no part of it", async () => {
  let held = "";
  function Held() {
    const [value, setValue] = useState("");
    held = value;
    return (
      <Reference value={value} onChange={setValue} suggestions={[]} placeholder="" field={{ "aria-label": "R" }} />
    );
  }
  render(
    <ChakraProvider value={system}>
      <Held />
    </ChakraProvider>,
  );
  const input = screen.getByRole("textbox") as HTMLInputElement;
  await userEvent.type(input, " file:my data.jsonl ");
  expect(held).toBe("file:my data.jsonl");
  expect(input.value).toBe(" file:my data.jsonl ");
  await userEvent.tab();
  expect(input.value).toBe("file:my data.jsonl");
});
