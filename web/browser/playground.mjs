// node playground.mjs CHROMIUM LOGIN: a conversation by the keyboard alone, as a reader has it; a line for each fault.
import assert from "node:assert/strict";
import { axeFaults, browserOf, pageIn, settled } from "./opened.mjs";

const [chromium, login] = process.argv.slice(2);
const browser = await browserOf(chromium);
const enough = { timeout: 120_000 };

const spoken = (page, count) =>
  page.waitForFunction(
    (wanted) => (document.body.textContent.match(/per second/g) ?? []).length === wanted,
    count,
    enough,
  );

try {
  const { page, faults } = await pageIn(await browser.newContext({ colorScheme: "light", reducedMotion: "reduce" }));
  await page.goto(login);
  await page.waitForURL((url) => url.pathname === "/");
  await page.goto(new URL("/playground?models=builtin:pocket", login).href);
  await settled(page);
  const prompt = page.getByRole("textbox", { name: "Prompt", exact: true });
  await page.getByRole("textbox", { name: "Most tokens" }).fill("12");
  await prompt.focus();
  await page.keyboard.type("Hello");
  await page.keyboard.press("Enter");
  await spoken(page, 1);
  await page.getByRole("status").filter({ hasText: "All models have answered" }).waitFor(enough);
  assert.ok(await prompt.evaluate((box) => box === document.activeElement), "the prompt keeps the focus");

  await page.keyboard.type("And then?");
  await page.keyboard.press("Enter");
  await spoken(page, 2);
  assert.match(page.url(), /chat=/);
  await page.reload();
  await settled(page);
  await spoken(page, 2);
  assert.equal(await page.getByRole("textbox", { name: "Most tokens" }).inputValue(), "12");
  assert.equal(await page.getByRole("list", { name: "Conversation" }).locator("> li").count(), 2);

  await page.getByRole("button", { name: "Edit and ask again" }).first().focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("End");
  await page.keyboard.type(" there");
  await page.keyboard.press("Enter");
  await page.getByText("Hello there", { exact: true }).waitFor();
  await spoken(page, 1);

  assert.deepEqual(await axeFaults(page), []);
  assert.deepEqual(faults, []);
} catch (error) {
  console.log(`the conversation: ${error.message}`);
} finally {
  await browser.close();
}
