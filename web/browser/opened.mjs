// A page in a real Chromium, with all that it complained of: errors in the console, exceptions, the policy, axe.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SEVERE = new Set(["serious", "critical"]);

/** A browser of this machine; the sandbox needs rights that CI does not have. */
export const browserOf = (executablePath) => chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** A page that notes its faults in the list that is returned with it. */
export async function pageIn(context) {
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning")
      faults.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => faults.push(`exception: ${error.message}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  return { page, faults };
}

/** Waits until nothing loads and nothing is a skeleton. */
export async function settled(page, timeout = 30_000) {
  await page.waitForLoadState("load");
  await page.locator("h1").first().waitFor();
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"), null, { timeout });
}

/** What axe finds that is serious or critical. */
export async function axeFaults(page) {
  await page.evaluate(axe); // by the debugger, which the policy does not concern
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations
    .filter((one) => SEVERE.has(one.impact))
    .map(
      (one) =>
        `axe ${one.id}: ${one.nodes.map((node) => `${node.target.join(" ")} ${node.failureSummary}`).join(" | ")}`,
    );
}
