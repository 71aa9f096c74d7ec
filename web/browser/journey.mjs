// A new user's way through the page, in a real browser: from a file to a tuned model. See tests/page/test_journey.py.
import { Reader, Studio, travel } from "./studio.mjs";

const { ROWS, ODD } = process.env;
const studio = new Studio();
const reader = await Reader.open();
const seconds = (count) => ({ timeout: count * 1000 });
const heading = (name) => reader.page.getByRole("heading", { name, level: 1 });
const button = (name) => reader.page.getByRole("button", { name });
const tab = (name) => reader.page.getByRole("tab", { name, exact: true }).click();
const text = (words) => reader.page.getByText(words).first();
const stateOf = (path) => reader.page.evaluate(async (at) => (await (await fetch(`/api/v1${at}`)).json()).state, path);
const open = (path) => reader.page.goto(studio.address + path);
/** Waits until a condition in the page holds. */
const until = (condition, given) => reader.page.waitForFunction(condition, given, seconds(60));
let run = "";
let gguf = "";

/** Waits until a run has succeeded. */
async function ends(path) {
  const end = Date.now() + 240_000;
  let state = "";
  while (state !== "succeeded") {
    state = await stateOf(path);
    if (Date.now() > end || state === "failed") throw new Error(`the run ${path} is ${state}`);
    await reader.page.waitForTimeout(250);
  }
}

/** Starts what the form says; gives the address of the run. */
async function start(name = /^Run/) {
  await until(
    (pattern) =>
      [...document.querySelectorAll("button")].some((one) => new RegExp(pattern).test(one.innerText) && !one.disabled),
    name.source,
  );
  await button(name).first().click();
  await reader.page.waitForURL(/\/runs\/[^/]+\/\d+/, seconds(60));
  return new URL(reader.page.url()).pathname;
}

const steps = {
  "the page opens with the printed address": async () => {
    await studio.start();
    await reader.page.goto(studio.login);
    await heading("Home").waitFor(seconds(20));
    if (reader.page.url().includes("token")) throw new Error("the token is still in the address");
    await reader.look("home-new");
  },
  "a file is dropped, and its page opens": async () => {
    await reader.page.getByRole("link", { name: "Data", exact: true }).click();
    await heading("Data").waitFor(seconds(20));
    await reader.drop("[data-drop]", "rows.jsonl", ROWS);
    await heading("rows.jsonl").waitFor(seconds(30));
  },
  "its rows are a chat, in which what is learned is coloured": async () => {
    await text(/ISO 8601/).waitFor(seconds(60));
    await until(() => [...document.querySelectorAll("li mark")].some((one) => one.textContent.includes("1990-01-01")));
    const asked = await reader.page.locator("li mark", { hasText: "ISO 8601" }).count();
    if (asked) throw new Error("a question is shown as learned");
  },
  "its profile is made by itself": async () => {
    await reader.page
      .getByRole("region", { name: "Profile" })
      .and(reader.page.locator(":not([aria-busy])"))
      .waitFor(seconds(60));
    await reader.look("dataset");
    await tab("Profile");
    await text("Lengths in characters").waitFor(seconds(20));
    await text("{broken").waitFor(seconds(20));
    await reader.look("profile");
  },
  "the file becomes a form that is ready, its settings explained": async () => {
    await reader.page.getByRole("link", { name: "Train on it" }).click();
    await reader.page.waitForURL(/recipe=first-adapter/, seconds(30));
    await reader.page.getByLabel("Name", { exact: true }).fill("journey");
    const most = reader.page.getByRole("textbox", { name: "Max steps" }).first();
    await most.waitFor(seconds(30));
    await most.fill("40");
    await until(() => document.body.innerText.includes("max_steps: 40"));
    await reader.look("form");
    run = await start();
  },
  "the loss moves while it trains": async () => {
    await open(`${run}?step=tune`);
    await text("Gradient norm").waitFor(seconds(120));
    const loss = () => document.querySelector("dl dd")?.textContent;
    const first = await reader.page.evaluate(loss);
    await until((before) => document.querySelector("dl dd")?.textContent !== before, first);
    if ((await stateOf(run)) !== "running") throw new Error("the loss did not move while it trained");
    await reader.look("training");
  },
  "the run is there after a reload and a restart of the server": async () => {
    await reader.page.reload();
    await heading(/journey/).waitFor(seconds(30));
    await studio.stop();
    await studio.start();
    await reader.page.reload();
    await heading(/journey/).waitFor(seconds(30));
    reader.taken(); // a browser notes each request that found no server
  },
  "its finished card has the answers before and after": async () => {
    await ends(run);
    await reader.page.getByRole("link", { name: "Result" }).click();
    await text("Before and after").waitFor(seconds(30));
    await text("journey.ship@1").waitFor(seconds(20));
    await reader.page.getByText("Before", { exact: true }).first().waitFor(seconds(20));
    await reader.look("result");
  },
  "a spike of the loss opens the rows of its step": async () => {
    await open(`${run}?step=tune`);
    await text("Spikes at").waitFor(seconds(30));
    await text("Spikes at").getByRole("button").last().click();
    await reader.page.waitForURL(/at=\d+/, seconds(20));
    await until((odd) => document.querySelector("details")?.textContent.includes(odd), ODD);
    await reader.page.locator("summary").first().click();
    await reader.look("spike");
    const chart = reader.page.locator(".u-over").first();
    const { width } = await chart.boundingBox();
    await chart.click({ position: { x: width / 2, y: 40 } });
    await reader.page.waitForURL((url) => Math.abs(Number(url.searchParams.get("at")) - 20) <= 2, seconds(20));
    await reader.page.getByRole("button", { name: "All rows" }).click();
    await text("Lowest loss").click();
    await reader.page.waitForURL(/side=best/, seconds(20));
    await reader.page.reload();
    await reader.page
      .getByRole("radio", { name: "Lowest loss", checked: true })
      .waitFor({ state: "attached", ...seconds(20) });
  },
  "every tab of the training has its contents": async () => {
    const there = {
      "Data as seen": () => reader.page.locator("mark").nth(1),
      Samples: () => text(/keeps no samples|row/),
      Logs: () => reader.page.locator("[role=log] .line").first(),
      Config: () => text("max_steps"),
      Proofs: () => text(/checks? hold/),
      Files: () => text("row_ledger.jsonl").or(text(/files?, /)),
    };
    for (const [name, found] of Object.entries(there)) {
      await tab(name);
      await found().first().waitFor(seconds(30));
      await reader.look(`tab-${name.toLowerCase().replace(/ /g, "-")}`);
    }
    await open(`${run}?step=tune&tab=logs`);
    await reader.page.locator("[role=log] .line").first().waitFor(seconds(20));
  },
};

Object.assign(steps, {
  "the run is forked with one change, which is marked": async () => {
    await open(`/new?from=journey/1`);
    await reader.page.getByLabel("Name", { exact: true }).fill("second");
    await reader.page.getByRole("textbox", { name: "Max steps" }).first().fill("20");
    await text("was 40").waitFor(seconds(10));
    await until(() => document.body.innerText.includes("max_steps: 20"));
    await reader.look("fork");
    await start();
  },
  "what is not wanted of it is cancelled among the jobs": async () => {
    await open("/jobs");
    for (const step of ["ship", "score"]) {
      const cancel = button(`Cancel ${step}`).first();
      await cancel.waitFor(seconds(30));
      await cancel.click();
      await cancel.waitFor({ state: "detached", ...seconds(20) });
    }
    await reader.look("jobs");
    await open("/runs");
    await reader.page
      .getByRole("link", { name: /journey/ })
      .first()
      .waitFor(seconds(20));
    await reader.look("runs");
  },
  "base and adapter answer the same prompt side by side": async () => {
    await open("/playground?models=builtin:pocket,journey.tune@1");
    await reader.page
      .getByRole("textbox", { name: "Prompt", exact: true })
      .fill("Write 7 May 2001 as a date of ISO 8601.");
    await reader.page.getByRole("textbox", { name: "Most tokens" }).fill("24");
    await reader.page.getByRole("button", { name: "Ask", exact: true }).click();
    await reader.page.waitForFunction(
      () => (document.body.textContent.match(/per second/g) ?? []).length === 2,
      undefined,
      seconds(120),
    );
    await reader.look("playground");
  },
  "the adapter gets a name, and the model made of it a certificate": async () => {
    await open("/adapters");
    const name = reader.page.getByRole("textbox", { name: /Name for journey\.tune@1/ });
    await name.fill("dates");
    await name.locator("xpath=following::button[1]").click();
    await reader.page.getByText("dates@1").first().waitFor(seconds(60));
    await open("/export");
    await reader.page.getByText("journey.ship@1").first().click();
    await reader.page.getByText("Certified").first().waitFor(seconds(20));
    await reader.look("certificate");
  },
  "the model is exported, with its size and the proof of its parity": async () => {
    await open(run);
    await text("What it made").waitFor(seconds(30));
    await reader.page.getByRole("link", { name: "Export", exact: true }).last().click();
    await reader.page.waitForURL(/stage=gguf/, seconds(20));
    await reader.look("export-form");
    gguf = await start();
    await ends(gguf);
    await open("/export");
    await reader.page
      .getByText(/^gguf\.gguf@1/)
      .first()
      .click();
    await text(/MB|KB/).waitFor(seconds(20));
    await text("Certified").waitFor(seconds(20));
    await reader.look("export");
  },
  "two adapters are merged": async () => {
    await open("/merge");
    await reader.page.getByRole("textbox", { name: "Adapter 1", exact: true }).fill("dates@1");
    await reader.page.getByRole("textbox", { name: "Adapter 2", exact: true }).fill("second.tune@1");
    await button(/^Run/).waitFor(seconds(60));
    await reader.look("merge");
    await ends(await start());
    await reader.look("merged");
  },
  "a variable of the environment is changed": async () => {
    await open("/settings");
    await reader.page.getByPlaceholder("Find a variable").fill("HF_ENDPOINT");
    await reader.page
      .getByRole("button", { name: /^(Set|Change)/ })
      .first()
      .click();
    await reader.page.getByRole("textbox", { name: /HF_ENDPOINT/ }).fill("https://hub.example.org");
    await reader.page.getByRole("button", { name: "Save" }).click();
    await reader.page.getByText("https://hub.example.org").first().waitFor(seconds(20));
    await reader.look("variable");
  },
  "the language and the theme change": async () => {
    await open("/settings");
    await heading("Settings").waitFor(seconds(20));
    await reader.page.getByRole("button", { name: "中文" }).first().click();
    await heading("设置").waitFor(seconds(10));
    await reader.page.reload();
    await heading("设置").waitFor(seconds(20));
    await reader.look("settings-zh");
    await reader.page
      .getByRole("button", { name: /English|EN/ })
      .first()
      .click();
    await heading("Settings").waitFor(seconds(10));
  },
  "without a session there is the login, once": async () => {
    await reader.fresh();
    let asked = 0;
    reader.page.on("request", (request) => {
      asked += request.url().includes("/api/");
    });
    await open(run);
    await reader.page.waitForURL(/\/login/, seconds(20));
    await reader.page.waitForTimeout(1500);
    reader.taken(); // a browser notes each 401
    if (asked > 3) throw new Error(`${asked} requests without a session`);
  },
});

const isWhole = await travel(reader, Object.entries(steps));
await reader.browser.close();
await studio.stop();
process.exitCode = isWhole ? 0 : 1;
