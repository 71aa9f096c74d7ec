// node screens.mjs CHROMIUM LOGIN FOLDER THEME WIDTH PATH...: each screen, its picture, and a line for each fault.
import { join } from "node:path";
import { axeFaults, browserOf, pageIn, settled } from "./opened.mjs";

const [chromium, login, folder, theme, width, ...paths] = process.argv.slice(2);
const browser = await browserOf(chromium);
try {
  const context = await browser.newContext({
    colorScheme: theme,
    reducedMotion: "reduce",
    viewport: { width: Number(width), height: width < 500 ? 844 : 900 },
  });
  const { page, faults } = await pageIn(context);
  const say = (path, found) => {
    for (const fault of found) console.log(`${path}: ${fault}`);
  };
  await page.goto(login);
  await page.waitForURL((url) => url.pathname === "/");
  if (page.url().includes("token")) say("/login", ["the token stays in the address"]);
  for (const path of paths) {
    faults.length = 0;
    await page.goto(new URL(path, login).href);
    await settled(page);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    await page.screenshot({
      path: join(folder, `${path.replace(/\W+/g, "-").replace(/^-|-$/g, "") || "home"}-${width}-${theme}.png`),
    });
    say(path, faults);
    say(path, await axeFaults(page));
    if (wide > 0) say(path, [`it is ${wide} pixels wider than the window`]);
    if (!(await page.title()).endsWith("burnish")) say(path, [`its title is ${await page.title()}`]);
  }
} finally {
  await browser.close();
}
