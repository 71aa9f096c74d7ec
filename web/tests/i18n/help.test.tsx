import { ChakraProvider } from "@chakra-ui/react";
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { matches } from "@/features/form/context";
import { SettingsForm } from "@/features/form/form";
import { setLanguage, startLanguage } from "@/i18n";
import { helpText, loadHelp } from "@/i18n/help";
import { system } from "@/theme/system";

const RATE = "Peak learning rate.";

beforeAll(() => startLanguage());
afterEach(cleanup);
afterAll(() => setLanguage("en"));

test("help is English in the English page, and of a form in Chinese once that is chosen", async () => {
  await loadHelp();
  expect(helpText(RATE)).toBe(RATE);
  await setLanguage("zh-CN");
  expect(helpText(RATE)).toBe("峰值学习率。");
  await setLanguage("en");
  expect(helpText(RATE)).toBe(RATE);
});

test("help is looked up whatever its line breaks, and stays English where there is no translation", async () => {
  await setLanguage("zh-CN");
  await loadHelp();
  expect(helpText("Peak\n    learning rate.\n")).toBe("峰值学习率。");
  expect(helpText("Of a plugin,\n with `code`.")).toBe("Of a plugin, with `code`.");
  expect([helpText(""), helpText("constructor")]).toEqual(["", "constructor"]);
});

test("a search in Chinese finds a setting by its help in either language", async () => {
  await setLanguage("zh-CN");
  await loadHelp();
  expect(matches("峰值", ["rate"], RATE)).toBe(true);
  expect(matches("PEAK", ["rate"], RATE)).toBe(true);
  expect(matches("谷值", ["rate"], RATE)).toBe(false);
});

test("a form that is open when the language changes shows its help in the new one", async () => {
  await setLanguage("en");
  await loadHelp();
  const schema = { type: "object", properties: { rate: { type: "number", description: RATE } } };
  render(
    <ChakraProvider value={system}>
      <SettingsForm schema={schema} values={{}} onChange={() => {}} expert />
    </ChakraProvider>,
  );
  expect(screen.getByText(RATE)).toBeTruthy();
  await act(() => setLanguage("zh-CN"));
  expect(screen.getByText("峰值学习率。")).toBeTruthy();
});
