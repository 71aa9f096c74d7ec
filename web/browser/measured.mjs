// node measured.mjs CHROMIUM LOGIN LIVE LONG: how long a reader waits, in a real browser; see benchmarks/server.py.
//
// A line of JSON each: `home` and `long`, milliseconds from the start of the navigation, `cpu` of the page's main thread;
// `press`, when a press on the first run, made as soon as the list is there, has led to it; `ready`, when the run LIVE is
// followed; `seen`, the loss that it then shows and when, until the standard input ends.
import { once } from "node:events";
import { browserOf } from "./opened.mjs";

const [chromium, login, live, long] = process.argv.slice(2);
const LOADS = 5;
const ROW = "table tbody tr, [role=row]";
const say = (line) => console.log(JSON.stringify(line));
const at = (path) => new URL(path, login).href;
const browser = await browserOf(chromium);
const first = await browser.newContext();
const storageState = await (async () => {
  const page = await first.newPage();
  await page.goto(login);
  await page.waitForURL((address) => !address.pathname.startsWith("/login"), { timeout: 60_000 });
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

/** An empty tab with an empty cache; what the browser itself does for a new tab is over. */
async function tab() {
  const context = await browser.newContext({ storageState, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(watchTasks);
  await page.waitForTimeout(1_500);
  return { context, page };
}

/** Opens a page: when `selector` was there and nothing loaded, and when it answered to clicks. */
async function opened(path, selector) {
  const { context, page } = await tab();
  const counters = await context.newCDPSession(page);
  await counters.send("Performance.enable", { timeDomain: "threadTicks" });
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
  const { metrics } = await counters.send("Performance.getMetrics");
  await context.close();
  return { ...found, cpu: 1000 * metrics.find((one) => one.name === "TaskDuration").value };
}

/** When a run stands in the address, after a press on its row in the moment in which it is there. */
async function pressed(path) {
  const { context, page } = await tab();
  await page.goto(at(path), { waitUntil: "commit" });
  await page
    .locator(ROW)
    .nth(1)
    .click({ position: { x: 300, y: 20 } });
  await page.waitForFunction(() => /^\/runs\/./.test(location.pathname), null, { polling: "raf" });
  const when = await page.evaluate(() => performance.now());
  await context.close();
  return { answered: when };
}

try {
  for (let count = 0; count < LOADS; count++) say({ home: await opened("/", ROW) });
  for (let count = 0; count < LOADS; count++) say({ press: await pressed("/") });
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
