// node pictures.mjs CHROMIUM LOGIN FOLDER: the pictures of docs/guides/studio.md; see docs/pictures.py.
import { join } from "node:path";
import { browserOf, pageIn, settled } from "./opened.mjs";

const [chromium, login, folder] = process.argv.slice(2);
const PATIENCE = 180_000;
const ASKED = "Reschedule Q67 (Mateo Holm) to 7 October 2023.";
const RUN = "/runs/support-bot/2?step=replay";
const nothing = async () => undefined;

async function asked(page) {
  await page.getByRole("textbox", { name: "Prompt", exact: true }).fill(ASKED);
  await page.getByRole("textbox", { name: "Temperature" }).fill("0");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await page.waitForFunction(() => (document.body.textContent.match(/per second/g) ?? []).length === 3, undefined, {
    timeout: PATIENCE,
  });
  await page.getByRole("button", { name: "This one is better" }).last().click();
  await page.getByText("Your vote is recorded").waitFor();
  await page.getByText("Your vote is recorded").waitFor({ state: "detached", timeout: 30_000 });
}

/** Each picture: its name, its address, what is done before it is taken, and how far down it is. */
const PICTURES = [
  ["home", "/", (page) => page.getByText("support-bot").first().waitFor()],
  ["new-run", "/new?recipe=first-adapter", nothing],
  ["run", RUN, (page) => page.locator("canvas").first().waitFor()],
  ["seen", `${RUN}&tab=seen`, nothing],
  [
    "compare",
    "/compare?one=support-bot/1&other=support-bot/2",
    (page) => page.getByText("Δ ").first().waitFor({ timeout: PATIENCE }),
    430,
  ],
  ["playground", "/playground?models=builtin:pocket,orders@1,support@1", asked],
  ["evaluate", "/evaluate?ref=support-bot.quality@2", nothing, 300],
  ["export", "/export", (page) => page.getByText("Certified").first().waitFor()],
];

const browser = await browserOf(chromium);
try {
  const take = async (page, name, path, act, down = 0) => {
    await page.goto(new URL(path, login).href);
    await settled(page, PATIENCE);
    await act(page);
    await settled(page, PATIENCE);
    await page.waitForFunction(() => !document.querySelector(".chakra-skeleton"), null, { timeout: PATIENCE });
    await page.waitForTimeout(600); // a curve ends its first move
    await page.mouse.move(0, 0);
    await page.evaluate((pixels) => window.scrollTo(0, pixels), down);
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
  for (const picture of PICTURES) await take(page, ...picture);
  await page.emulateMedia({ colorScheme: "dark" });
  const [, path, act] = PICTURES.find(([name]) => name === "run");
  await take(page, "run-dark", path, act);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 390, height: 844 });
  await take(page, "run-phone", path, act);
} finally {
  await browser.close();
}
