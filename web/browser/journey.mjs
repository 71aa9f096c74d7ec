// A new user's way through the page, in a real browser: from a file to a tuned model. See tests/page/test_journey.py.
import { Reader, Studio, travel } from "./studio.mjs";

const { ROWS } = process.env;
const studio = new Studio();
const reader = await Reader.open();
const seconds = (count) => ({ timeout: count * 1000 });
const heading = (name) => reader.page.getByRole("heading", { name, level: 1 });
const stateOf = (path) => reader.page.evaluate(async (at) => (await (await fetch(`/api/v1${at}`)).json()).state, path);
const open = (path) => reader.page.goto(studio.address + path);
let run = "";

/** Waits until a run has succeeded. */
async function ends(path) {
  const end = Date.now() + 240_000;
  let state = "";
  while (state !== "succeeded") {
    state = await stateOf(path);
    if (Date.now() > end || state === "failed") throw new Error(`the run ${path} is ${state}`);
    await reader.page.waitForTimeout(500);
  }
}

const steps = {
  "the page opens with the printed address": async () => {
    await studio.start();
    await reader.page.goto(studio.login);
    await heading("Home").waitFor(seconds(20));
    if (reader.page.url().includes("token")) throw new Error("the token is still in the address");
  },
  "a file becomes a form that is ready": async () => {
    await open("/new");
    await reader.page.locator("input[type=file]").first().setInputFiles(ROWS);
    await reader.page.waitForURL(/recipe=first-adapter/, seconds(30));
    await reader.page.getByRole("button", { name: /^Run/ }).waitFor(seconds(30));
    await reader.shoot("form");
  },
  "the settings are few and explained": async () => {
    const name = reader.page.getByLabel("Name", { exact: true });
    await name.fill("journey");
    const steps = reader.page.getByRole("textbox", { name: "Max steps" }).first();
    if (!(await steps.isVisible().catch(() => false)))
      await reader.page.getByText("tune", { exact: true }).first().click();
    await steps.fill("40");
    const start = reader.page.getByRole("button", { name: /^Run/ });
    await reader.page.waitForFunction(
      () => [...document.querySelectorAll("button")].some((one) => /^Run/.test(one.textContent) && !one.disabled),
      undefined,
      seconds(30),
    );
    await reader.shoot("form-filled");
    await start.click();
    await reader.page.waitForURL(/\/runs\/journey\/\d+/, seconds(30));
    run = new URL(reader.page.url()).pathname;
  },
  "the loss moves while it trains": async () => {
    await open(`${run}?step=tune`);
    await reader.page.getByText("Gradient norm").first().waitFor(seconds(120));
    await reader.shoot("training");
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
  "it succeeds": async () => {
    await ends(run);
    await reader.page.getByText(/4 of 4 steps/).waitFor(seconds(10));
    await reader.shoot("succeeded");
  },
  "every tab of the training has its contents": async () => {
    for (const tab of ["Data as seen", "Rows", "Samples", "Logs", "Config", "Proofs", "Files", "Overview"]) {
      await reader.page.getByRole("tab", { name: tab }).click();
      await reader.page.getByRole("tabpanel").first().waitFor(seconds(20));
      await reader.page.waitForTimeout(600);
      await reader.shoot(`tab-${tab.toLowerCase().replace(/ /g, "-")}`);
    }
  },
};

Object.assign(steps, {
  "the dataset shows its rows as the model sees them": async () => {
    await open("/data");
    await reader.page.getByText("rows.jsonl").first().click();
    await reader.page
      .getByText(/ISO 8601/)
      .first()
      .waitFor(seconds(60));
    await reader.shoot("dataset");
  },
  "jobs and runs are listed": async () => {
    await open("/jobs");
    await reader.page.getByText("journey").first().waitFor(seconds(20));
    await open("/runs");
    await reader.page
      .getByRole("link", { name: /journey/ })
      .first()
      .waitFor(seconds(20));
  },
  "the run is forked with one change": async () => {
    await open("/new?from=journey/1");
    await reader.page.getByLabel("Name", { exact: true }).fill("second");
    await reader.page.getByRole("textbox", { name: "Max steps" }).first().fill("20");
    const start = reader.page.getByRole("button", { name: /^Run/ });
    await start.click({ timeout: 30_000 });
    await reader.page.waitForURL(/\/runs\/second\/\d+/, seconds(30));
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
    await reader.shoot("playground");
  },
  "the adapter gets a name, and the merged model has a certificate": async () => {
    await open("/adapters");
    const name = reader.page.getByRole("textbox", { name: /Name for journey\.tune@1/ });
    await name.fill("dates");
    await name.locator("xpath=following::button[1]").click();
    await reader.page.getByText("dates@1").first().waitFor(seconds(60));
    await open("/export");
    await reader.page.getByText("journey.ship@1").first().click();
    await reader.page.getByText("Certified").first().waitFor(seconds(20));
    await reader.shoot("certificate");
  },
  "two adapters are merged": async () => {
    await ends("/runs/second/1");
    await open("/merge");
    await reader.page.getByRole("textbox", { name: "Adapter 1", exact: true }).fill("dates@1");
    await reader.page.getByRole("textbox", { name: "Adapter 2", exact: true }).fill("second.tune@1");
    const merge = reader.page.getByRole("button", { name: /^Run/ });
    await merge.waitFor(seconds(60));
    await reader.shoot("merge");
    await merge.click({ timeout: 60_000 });
    await reader.page.waitForURL(/\/runs\//, seconds(60));
    await ends(new URL(reader.page.url()).pathname);
    await reader.shoot("merged");
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
    await reader.shoot("variable");
  },
  "the language and the theme change": async () => {
    await open("/settings");
    await heading("Settings").waitFor(seconds(20));
    await reader.page.getByRole("button", { name: "中文" }).first().click();
    await heading("设置").waitFor(seconds(10));
    await reader.page.reload();
    await heading("设置").waitFor(seconds(20));
    await reader.shoot("settings-zh");
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
