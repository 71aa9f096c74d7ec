// node queue.mjs CHROMIUM LOGIN: the order of the queue is changed by a drag and by keys; jobs are cancelled and resumed.
// The server has no worker. A line for each fault.
import assert from "node:assert/strict";
import { axeFaults, browserOf, pageIn, settled } from "./opened.mjs";

const [chromium, login] = process.argv.slice(2);
const browser = await browserOf(chromium);

try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const { page, faults } = await pageIn(context);
  await page.goto(login);
  await page.waitForURL((url) => url.pathname === "/");
  for (const name of ["one", "two", "three"])
    assert.equal(
      await page.evaluate(async (name) => {
        const { csrf } = await (await fetch("/api/v1/session")).json();
        const make = { stage: "synthesize", generator: { kind: "pocket", skill: "base", rows: 8 } };
        const answer = await fetch("/api/v1/runs", {
          method: "POST",
          headers: { "content-type": "application/json", "X-CSRF-Token": csrf },
          body: JSON.stringify({ values: { name, steps: { make } } }),
        });
        return answer.status;
      }, name),
      202,
    );
  await page.goto(new URL("/jobs", login).href);
  await settled(page);

  /** Waits until the server and the page have the queued jobs in this order. */
  const isOrder = (...names) =>
    page.waitForFunction(
      async (wanted) => {
        const { jobs } = await (await fetch("/api/v1/jobs")).json();
        const queued = jobs.filter((job) => job.state === "queued").map((job) => job.recipe);
        const shown = [...document.querySelectorAll("ul li")].map(
          (row) => /(one|two|three) #/.exec(row.innerText)?.[1],
        );
        return queued.join() === wanted && shown.filter(Boolean).join() === wanted;
      },
      names.join(),
      { timeout: 20_000 },
    );
  const handle = (at) => page.getByRole("button", { name: /^Move/ }).nth(at);
  await isOrder("one", "two", "three");

  const from = await handle(0).boundingBox();
  const to = await handle(2).boundingBox();
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 6 });
  await page.mouse.up();
  await isOrder("two", "three", "one");

  await handle(2).focus();
  await page.keyboard.press("ArrowUp");
  await isOrder("two", "one", "three");
  await page.keyboard.press("Home");
  await isOrder("one", "two", "three");
  assert.equal(
    await page.evaluate(() => document.activeElement?.closest("li")?.innerText.includes("one #")),
    true,
    "the focus stays on the job that was moved",
  );
  await page.reload();
  await settled(page);
  await isOrder("one", "two", "three");

  await page
    .getByRole("button", { name: /^Cancel/ })
    .first()
    .click();
  await isOrder("two", "three");
  await page
    .getByRole("button", { name: /^Queue .* again/ })
    .first()
    .click();
  await page.waitForFunction(() => document.querySelectorAll("ul li").length === 3, null, { timeout: 20_000 });
  for (const fault of [...faults, ...(await axeFaults(page))]) console.log(fault);
} catch (error) {
  console.log(String(error.message ?? error));
} finally {
  await browser.close();
}
