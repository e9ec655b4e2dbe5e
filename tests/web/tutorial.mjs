// `node tests/web/tutorial.mjs URL SHOT.png`: opens the page of the tutorial in Chromium, waits for its facts, and says what it shows.
import { withBrowser } from "../../examples/web/tests/browser.mjs";

const [url, shot] = process.argv.slice(2);
const result = await withBrowser(".", async ({ browser }) => {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("requestfailed", (request) => problems.push(request.url()));
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector("#facts").textContent !== "", null, { timeout: 600_000 });
  await page.screenshot({ path: shot });
  const facts = await page.locator("#facts").textContent();
  const drawn = await page.evaluate(() => {
    const { width, height } = document.querySelector("semc-img").getBoundingClientRect();
    return [Math.round(width), Math.round(height)];
  });
  return { facts, drawn, problems };
}).catch((error) => ({ failure: String(error.stack ?? error) }));
process.stdout.write(JSON.stringify(result));
