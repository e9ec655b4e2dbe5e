// `node tests/quiet.mjs GRAPHS FOLDER PHOTO`: what the page says of a photo of which no head knows anything.
//
// On stdout stands one JSON object with the names of the heads and what the page said of each; FOLDER gets screenshots and
// the files that store the empty answer, of the whole photo and of a part of it.
import { join } from "node:path";
import { watch, withBrowser } from "./browser.mjs";

const [graphs, folder, photo] = process.argv.slice(2);
const PATIENCE = 240_000; // milliseconds; a busy machine is slow
const HEADS = ["street", "imagenette"];

const result = await withBrowser(graphs, async ({ browser, url }) => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, colorScheme: "light", acceptDownloads: true });
  page.setDefaultTimeout(PATIENCE);
  const strangers = watch(page, url);
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  const text = (selector) => page.textContent(selector).then((found) => found.trim());
  const settled = () =>
    page.waitForFunction(() => document.querySelector("#progress").hidden
      && /decoded$/.test(document.querySelector("#status").textContent));
  const shot = async (name) => {
    await page.waitForFunction(() => document.getAnimations().every((each) => each.playState !== "running"));
    await page.screenshot({ path: join(folder, `${name}.png`) });
  };
  const save = async (name) => {
    const [given] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    await given.saveAs(join(folder, name));
  };
  const state = async () => ({
    note: await text("#answer-note"), rows: await page.locator("#answer li").count(), map: await text("#map-hint"),
    checked: await page.locator('#heads [aria-checked="true"]').count(),
  });

  await page.goto(url);
  await page.setInputFiles("#file", photo);
  await settled();
  const chips = await page.locator("#heads button").allTextContents();
  await page.click("#tab-map");
  const unasked = await state();
  await shot("unasked");
  const answers = {};
  for (const head of HEADS) {
    await page.click(`[data-head="${head}"]`);
    await page.waitForFunction(() => document.querySelector("#answer-note").textContent);
    await settled();
    answers[head] = await state();
    await shot(`quiet-${head}`);
  }
  await page.click('[data-head="street"]');
  await settled();
  await page.check("#store");
  await settled();
  await save("page-quiet.semc");
  await page.click("#tab-keep");
  const keep = await text("#keep-hint");
  await shot("quiet-keep");
  const whole = await text("#bytes");
  const box = await page.locator("#stage").boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await page.waitForFunction((before) => document.querySelector("#bytes").textContent.trim() !== before, whole);
  await settled();
  await page.click("#tab-picture");
  await shot("quiet-kept");
  await save("page-quiet-kept.semc");
  return { chips, unasked, answers, keep, strangers, problems };
}).catch((error) => ({ failure: error.message }));
process.stdout.write(JSON.stringify(result));
