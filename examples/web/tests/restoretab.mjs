// `node tests/restoretab.mjs BROWSER GRAPHS JPEG SHOT.png`: a JPEG file in the page, before and after under the divider.
import { pageRoots } from "../serve.mjs";
import { withPage } from "./browser.mjs";

const [browser, graphs, jpeg, shot] = process.argv.slice(2);

async function until([selector, pattern]) {
  for (let i = 0; i < 2400; i++) {
    const alert = document.querySelector("#notices [role=alert]");
    if (alert) throw new Error(alert.textContent);
    if (new RegExp(pattern).test(document.querySelector(selector)?.textContent ?? "")) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${selector} never showed ${pattern}`);
}

async function show() {
  const tab = document.querySelector("#tab-restore");
  const offered = !tab.hidden;
  tab.click();
  while (!/restored/.test(document.querySelector("#status").textContent)) await new Promise((resolve) => setTimeout(resolve, 100));
  const pixels = (id) => {
    const canvas = document.querySelector(id);
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  };
  const [before, after] = [pixels("#original"), pixels("#decoded")];
  let changed = 0;
  let total = 0;
  before.data.forEach((value, i) => {
    changed += value !== after.data[i];
    total += Math.abs(value - after.data[i]);
  });
  return {
    offered, sizes: [before.width, before.height, after.width, after.height], changed: changed / before.data.length,
    mean: total / before.data.length, tag: document.querySelector("#tag-right").textContent,
    hint: document.querySelector("#restore-hint").textContent, divider: !document.querySelector("#divider").hidden,
    rgba: [...after.data.slice(0, 4000)],
  };
}

const result = await withPage(browser, { roots: pageRoots(graphs) }, async ({ page, evaluate, url }) => {
  await page.goto(url);
  await page.setFile("#file", jpeg);
  await evaluate(until, ["#status", "decoded$"]);
  const seen = await evaluate(show);
  await page.screenshot(shot);
  return { seen, strangers: page.strangers(url) };
}).catch((error) => ({ failure: String(error.stack ?? error) }));
process.stdout.write(JSON.stringify(result));
