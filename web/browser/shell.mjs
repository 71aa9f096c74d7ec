// node shell.mjs CHROMIUM LOGIN: what the frame of all screens does, as a reader does it; a line for each fault.
import assert from "node:assert/strict";
import { browserOf, pageIn, settled } from "./opened.mjs";

const [chromium, login] = process.argv.slice(2);
const home = new URL("/", login).href;
const browser = await browserOf(chromium);

async function test(name, context, act) {
  const { page, faults } = await pageIn(context);
  try {
    await act(page, faults);
    assert.deepEqual(faults, []);
  } catch (error) {
    console.log(`${name}: ${error.message}`);
  }
  await page.close();
}

try {
  const stranger = await browser.newContext();
  await test("without a session there is the login, and it says what is wrong", stranger, async (page, faults) => {
    await page.goto(`${home}runs?q=demo`);
    await page.waitForURL(/\/login\?next=/);
    await page.getByRole("textbox").fill("burnish-login-wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    faults.length = 0; // a browser notes each 401
  });

  const context = await browser.newContext({ colorScheme: "light" });
  await test("the address logs in, and keeps no token", context, async (page) => {
    await page.goto(login);
    await page.waitForURL(home);
    await settled(page);
  });
  await test("what Home shows first is asked beside the scripts, and once", context, async (page) => {
    await page.goto(home);
    const asked = await page.waitForFunction(() => {
      if (!document.querySelector("[role=row]")) return null;
      const found = performance.getEntriesByType("resource").filter((one) => one.name.includes("/api/v1/"));
      return found.map((one) => `${one.initiatorType} ${new URL(one.name).pathname}`).sort();
    });
    const wanted = ["session", "runs/grouped", "jobs", "machine"].map((name) => `link /api/v1/${name}`);
    const first = (await asked.jsonValue()).filter((one) => wanted.some((name) => name.endsWith(one.split(" ")[1])));
    assert.deepEqual(first, wanted.sort());
  });
  await test("the palette finds a screen by the keyboard alone", context, async (page) => {
    await page.goto(home);
    await settled(page);
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").waitFor();
    await page.keyboard.type("compare");
    await page.getByRole("option", { selected: true, name: /Compare/ }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/compare/);
    await page.getByRole("combobox", { name: /Find/ }).waitFor({ state: "detached" });
  });
  await test("filters stand in the address and survive a reload", context, async (page) => {
    await page.goto(`${home}runs`);
    await settled(page);
    await page.getByRole("textbox", { name: "Search runs" }).fill("nothing like this");
    await page.waitForURL(/q=nothing/);
    await page.reload();
    await settled(page);
    assert.equal(await page.getByRole("textbox", { name: "Search runs" }).inputValue(), "nothing like this");
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await page.waitForURL(`${home}runs`);
    await page.getByRole("combobox", { name: "Step" }).selectOption("evaluate");
    await page.waitForURL(`${home}runs?stage=evaluate`);
    await page.getByText("1 run", { exact: true }).waitFor();
    await page.reload();
    await page.getByRole("combobox", { name: "Step" }).selectOption("export");
    await page.getByText("No run fits these filters").waitFor();
  });
  await test("the theme and the language change at once and survive a reload", context, async (page) => {
    await page.goto(`${home}settings`);
    await settled(page);
    await page.getByText("Dark", { exact: true }).click();
    await page.locator("html.dark").waitFor();
    await page.getByText("简体中文", { exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "设置" }).waitFor();
    await page.reload();
    await page.locator("html.dark[lang=zh-CN]").waitFor();
    await page.getByRole("heading", { level: 1, name: "设置" }).waitFor();
    await page.evaluate(() => localStorage.clear());
  });
  await test("a lost connection is said, and the page is live again by itself", context, async (page, faults) => {
    await page.goto(`${home}jobs`);
    await settled(page);
    await context.setOffline(true);
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await page.getByText("Connection lost").waitFor();
    await context.setOffline(false);
    await page.getByText("Connection lost").waitFor({ state: "detached", timeout: 20_000 });
    await settled(page);
    faults.length = 0; // a browser notes each request that failed
  });
  await test("an unknown address keeps the menu", context, async (page) => {
    await page.goto(`${home}no/such/page`);
    await page.getByText("No such page").waitFor();
    await page.getByRole("link", { name: "Go to Home" }).click();
    await page.waitForURL(home);
  });
  await test("logging out ends the session", context, async (page, faults) => {
    await page.goto(home);
    await settled(page);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL(/\/login/);
    await page.goto(home);
    await page.waitForURL(/\/login/);
    faults.length = 0;
  });
} finally {
  await browser.close();
}
