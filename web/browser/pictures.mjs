// node pictures.mjs CHROMIUM LOGIN FOLDER: the pictures of docs/guides/studio.md; see docs/pictures.py.
import { join } from "node:path";
import { browserOf, pageIn, settled } from "./opened.mjs";

const [chromium, login, folder] = process.argv.slice(2);
const ASKED = ["Reschedule Q67 (Mateo Holm) to 7 October 2023.", "Selma Yilmaz wants order Q89 on 21 October 2026."];
const RUN = "/runs/support-bot/2?step=replay";

const spoken = (page, count) =>
  page.waitForFunction((wanted) => (document.body.textContent.match(/per second/g) ?? []).length === wanted, count, {
    timeout: 120_000,
  });

/** Each picture: its name, its address, and what is done before it is taken. */
const PICTURES = [
  ["home", "/", async (page) => page.getByText("support-bot").first().waitFor()],
  [
    "new-run",
    "/new?recipe=first-adapter",
    async (page) =>
      page
        .getByText("base", { exact: true })
        .first()
        .click({ trial: true })
        .catch(() => undefined),
  ],
  ["run", RUN, async (page) => page.locator("canvas").first().waitFor()],
  ["seen", `${RUN}&tab=seen`, async () => undefined],
  [
    "compare",
    "/compare?one=support-bot/1&other=support-bot/2",
    async (page) => page.getByText("Δ ").first().waitFor({ timeout: 60_000 }),
  ],
  [
    "playground",
    "/playground?models=builtin:pocket,support@1",
    async (page) => {
      for (const [at, prompt] of ASKED.entries()) {
        await page.getByRole("textbox", { name: "Prompt", exact: true }).fill(prompt);
        await page.getByRole("textbox", { name: "Temperature" }).fill("0");
        await page.getByRole("button", { name: "Ask", exact: true }).click();
        await spoken(page, 2 * at + 2);
        if (at === 0) await page.getByRole("button", { name: "This one is better" }).last().click();
      }
      await page.getByText("Your vote is recorded").waitFor({ state: "detached", timeout: 30_000 });
    },
  ],
  ["evaluate", "/evaluate?ref=support-bot.quality@2", async () => undefined],
  ["export", "/export", async (page) => page.getByText("Certified").first().waitFor()],
];

const browser = await browserOf(chromium);
try {
  const take = async (page, name, path, act) => {
    await page.goto(new URL(path, login).href);
    await settled(page);
    await act(page);
    await settled(page);
    await page.waitForTimeout(400); // a curve ends its first move
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(folder, `${name}.png`) });
  };
  const context = await browser.newContext({
    colorScheme: "light",
    reducedMotion: "reduce",
    viewport: { width: 1440, height: 900 },
  });
  const { page } = await pageIn(context);
  await page.goto(login);
  await page.waitForURL((url) => url.pathname === "/");
  for (const [name, path, act] of PICTURES) await take(page, name, path, act);
  await page.emulateMedia({ colorScheme: "dark" });
  const [, path, act] = PICTURES.find(([name]) => name === "run");
  await take(page, "run-dark", path, act);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 390, height: 844 });
  await take(page, "run-phone", path, act);
} finally {
  await browser.close();
}
