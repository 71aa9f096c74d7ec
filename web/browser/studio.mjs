// A server of a workspace and a browser on it: what the journey through the page stands on.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { axeFaults, browserOf, pageIn } from "./opened.mjs";

const { BURNISH, WORKSPACE, CHROMIUM = "/usr/bin/chromium", SHOTS } = process.env;

/** `burnish ui` as a person starts it; `login` is the address that it prints. */
export class Studio {
  port = 0;

  async start() {
    const words = ["--workspace", WORKSPACE, "ui", "--no-open", "--port", String(this.port)];
    this.process = spawn(BURNISH, words, { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: this.process.stdout })) {
      if (line.includes("/login#token=")) {
        this.login = line.trim();
        this.address = new URL(this.login).origin;
        this.port = Number(new URL(this.login).port);
        this.process.stdout.resume();
        return;
      }
    }
    throw new Error("burnish ui ended before it printed its address");
  }

  async stop(signal = "SIGTERM") {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill(signal);
    await ended;
  }
}

/** A browser with one page, whose faults are kept until a step of the way has ended. */
export class Reader {
  faults = [];

  static async open() {
    const reader = new Reader();
    reader.browser = await browserOf(CHROMIUM);
    await reader.fresh();
    return reader;
  }

  /** A new page, without the cookies of the one before. */
  async fresh() {
    await this.context?.close();
    this.context = await this.browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "light" });
    const { page, faults } = await pageIn(this.context);
    [this.page, this.faults] = [page, faults];
    page.on("dialog", (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  /** The faults since the last call. */
  taken = () => this.faults.splice(0).map((fault) => `${this.page.url()} ${fault}`);

  /** Drops a file on an element, as a person does with the mouse. */
  async drop(selector, name, path) {
    const text = readFileSync(path, "utf8");
    const transfer = await this.page.evaluateHandle(
      ([name, text]) => {
        const made = new DataTransfer();
        made.items.add(new File([text], name));
        return made;
      },
      [name, text],
    );
    for (const type of ["dragenter", "dragover", "drop"])
      await this.page.dispatchEvent(selector, type, { dataTransfer: transfer });
  }

  /** Notes what axe finds on the screen as it is now, and keeps a picture of it. */
  async look(name) {
    this.faults.push(...(await axeFaults(this.page)));
    await this.shoot(name);
  }

  async shoot(name) {
    if (!SHOTS) return;
    mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({ path: `${SHOTS}/${name}.png` });
  }
}

/** Runs steps in order and says how each went, as lines of JSON; the first that fails ends the journey. */
export async function travel(reader, steps) {
  for (const [name, go] of steps) {
    const began = Date.now();
    try {
      await go();
    } catch (error) {
      await reader.shoot(`failed-${name.replace(/\W+/g, "-")}`).catch(() => undefined);
      console.log(JSON.stringify({ step: name, failed: String(error.message ?? error).slice(0, 2000) }));
      return false;
    }
    console.log(JSON.stringify({ step: name, seconds: (Date.now() - began) / 1000, faults: reader.taken() }));
  }
  return true;
}
