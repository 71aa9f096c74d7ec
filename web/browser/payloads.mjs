// Hostile rows, logs, notes, names and errors on every screen that shows them: none may run. See tests/page/test_payloads.py.
import { Reader, Studio } from "./studio.mjs";

const { PATHS } = process.env;
const studio = new Studio();
const reader = await Reader.open();

await studio.start();
await reader.page.goto(studio.login);
await reader.page.getByRole("heading", { name: "Home", level: 1 }).waitFor();

for (const path of PATHS.split(" ")) {
  await reader.page.goto(studio.address + path);
  await reader.page.getByRole("heading", { level: 1 }).first().waitFor();
  await reader.page
    .waitForFunction(() => document.body.textContent.includes("hit=1"), undefined, { timeout: 25_000 })
    .catch(() => reader.faults.push("no payload is shown"));
  for (const name of ["Chat", "Tokens", "JSON", "Preview"]) {
    const view = reader.page
      .getByRole("radio", { name })
      .or(reader.page.getByRole("button", { name, exact: true }))
      .first();
    if (!(await view.isVisible().catch(() => false))) continue;
    await view.click({ timeout: 2000 }).catch(() => undefined);
    await reader.page.waitForTimeout(150);
  }
  const rows = reader.page.getByRole("option").or(reader.page.locator("[data-row] button, button[data-row]"));
  for (let at = 0; at < Math.min(await rows.count(), 12); at++)
    await rows
      .nth(at)
      .click({ timeout: 1000 })
      .catch(() => undefined);
  await reader.page.mouse.move(700, 500);
  await reader.page.mouse.wheel(0, 4000);
  await reader.page.waitForTimeout(300);
  const hit = await reader.page.evaluate(() => window.hit ?? null);
  const links = await reader.page.evaluate(() =>
    [...document.querySelectorAll("a[href], iframe, object, embed, form[action]")]
      .map((one) => one.getAttribute("href") ?? one.outerHTML)
      .filter((where) => !/^(\/|#|https?:)/.test(where)),
  );
  await reader.shoot(`payloads-${path.replace(/\W+/g, "_")}`);
  console.log(JSON.stringify({ path, hit, links, faults: reader.taken() }));
}
await reader.browser.close();
await studio.stop();
