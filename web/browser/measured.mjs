// node measured.mjs CHROMIUM LOGIN LIVE LONG: how long a reader waits, in a real browser; see benchmarks/server.py.
//
// A line of JSON each: `home` and `long`, milliseconds from the start of the navigation; `ready`, when the run LIVE is
// followed; `seen`, the loss that it then shows and when, until the standard input ends.
import { once } from "node:events";
import { browserOf } from "./opened.mjs";

const [chromium, login, live, long] = process.argv.slice(2);
const LOADS = 5;
const say = (line) => console.log(JSON.stringify(line));
const at = (path) => new URL(path, login).href;
const browser = await browserOf(chromium);
const first = await browser.newContext();
const storageState = await (async () => {
  const page = await first.newPage();
  await page.goto(login);
  await page.locator("h1").waitFor();
  const state = await first.storageState();
  await first.close();
  return state;
})();

/** Notes in the page how long its tasks take: a page that is busy does not answer to a click. */
function watchTasks() {
  window.longTasks = [];
  new PerformanceObserver((found) => {
    for (const task of found.getEntries()) window.longTasks.push([task.startTime, task.duration]);
  }).observe({ type: "longtask", buffered: true });
}

/** Opens a page with an empty cache: when `selector` was there and nothing loaded, and when it answered to clicks. */
async function opened(path, selector) {
  const context = await browser.newContext({ storageState, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(watchTasks);
  await page.goto(at(path), { waitUntil: "commit" });
  await page.waitForFunction(
    (wanted) => {
      const is = document.querySelector(wanted) && !document.querySelector("[aria-busy=true]");
      if (is) window.shownAt ??= performance.now();
      return is;
    },
    selector,
    { polling: "raf", timeout: 60_000 },
  );
  await page.waitForTimeout(1_000);
  const found = await page.evaluate(() => {
    const painted = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null;
    const bytes = performance.getEntriesByType("resource").reduce((sum, one) => sum + one.encodedBodySize, 0);
    const busy = window.longTasks.map(([start, length]) => start + length);
    const worst = Math.max(0, ...window.longTasks.map(([, length]) => length));
    return { painted, shown: window.shownAt, interactive: Math.max(window.shownAt, ...busy), worst, bytes };
  });
  await context.close();
  return found;
}

try {
  for (let count = 0; count < LOADS; count++) say({ home: await opened("/", "table tbody tr, [role=row]") });
  for (let count = 0; long && count < LOADS - 2; count++) say({ long: await opened(long, "main canvas") });

  const context = await browser.newContext({ storageState, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.exposeFunction("sayLoss", (loss, when) => say({ seen: loss, at: when }));
  await page.goto(at(live));
  await page.locator("dl dd").first().waitFor();
  await page.evaluate(() => {
    let last = "";
    new MutationObserver(() => {
      const shown = document.querySelector("dl dd")?.textContent ?? "";
      if (shown === last) return;
      last = shown;
      requestAnimationFrame(() => window.sayLoss(shown, Date.now())); // when it is painted
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  say({ ready: true });
  process.stdin.resume();
  await once(process.stdin, "end");
} finally {
  await browser.close();
}
