// Every screen, in widths and themes: a picture, the faults that axe finds, and those that the page reports.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Reader, Studio } from "./studio.mjs";

const { PATHS, VIEWS } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const HEIGHTS = { 1440: 900, 390: 844 };
const studio = new Studio();
const reader = await Reader.open();

await studio.start();
await reader.page.goto(studio.login);
await reader.page.getByRole("heading", { name: "Home", level: 1 }).waitFor();

/** What axe calls serious or critical, in the words of a report. */
async function barriers() {
  const found = await reader.page.evaluate(`${axe}; axe.run({ resultTypes: ["violations"] })`);
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join(" | ")}`.slice(0, 600));
}

/** Waits until no request has been under way for a moment, and nothing is a skeleton any more. */
async function settled() {
  await reader.page.getByRole("heading", { level: 1 }).first().waitFor({ timeout: 30_000 });
  await reader.page
    .waitForFunction(() => !document.querySelector(".chakra-skeleton, [aria-busy=true]"), undefined, {
      timeout: 20_000,
    })
    .catch(() => reader.note("it is still loading after 20 s"));
  await reader.page.waitForTimeout(400);
}

for (const view of VIEWS.split(" ")) {
  const [width, theme] = view.split("-");
  await reader.fresh({
    keep: true,
    context: { viewport: { width: Number(width), height: HEIGHTS[width] }, colorScheme: theme },
  });
  for (const path of PATHS.split(" ")) {
    const name = `${path.replace(/\W+/g, "_")}-${view}`;
    await reader.page.goto(studio.address + path);
    await settled();
    const overflow = await reader.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    await reader.shoot(name);
    console.log(
      JSON.stringify({ screen: name, barriers: await barriers(), overflow, faults: reader.faults.splice(0) }),
    );
  }
}
await reader.browser.close();
await studio.stop();
