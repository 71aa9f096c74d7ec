import { ChakraProvider } from "@chakra-ui/react";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, expect, test } from "vitest";
import { SettingsForm } from "@/features/form/form";
import type { Schema } from "@/features/form/schema";
import { startLanguage } from "@/i18n";
import { system } from "@/theme/system";

beforeAll(() => startLanguage());
afterEach(cleanup);

test("an input inside a list or a map has a name of its own", () => {
  const schema = {
    type: "object",
    properties: {
      tags: { type: "array", items: { type: "string" } },
      sizes: { type: "object", additionalProperties: { type: "number" } },
    },
  } as Schema;
  const values = { tags: ["a", "b"], sizes: { small: 1 } };
  render(
    <ChakraProvider value={system}>
      <SettingsForm schema={schema} values={values} onChange={() => {}} expert query="" />
    </ChakraProvider>,
  );
  for (const name of ["tags 1", "tags 2", "small"]) expect(screen.getByRole("textbox", { name })).toBeDefined();
});
