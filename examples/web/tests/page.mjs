// `node tests/page.mjs GRAPHS FOLDER PHOTO FILE DAMAGED`: the page as a person uses it, with screenshots in FOLDER.
//
// On stdout stands one JSON object with what the page showed at each step; the files that it gave lie in FOLDER.
import { join } from "node:path";
import { watch, withBrowser } from "./browser.mjs";

const [graphs, folder, photo, file, damaged] = process.argv.slice(2);
const WIDE = { width: 1280, height: 860 };
const NARROW = { width: 375, height: 780 };
const PATIENCE = 240_000; // milliseconds; a busy machine is slow
const seen = {};

const result = await withBrowser(graphs, async ({ browser, url }) => {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const strangers = watch(page, url);
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));

  const still = () => page.waitForFunction(() => document.getAnimations().every((each) => each.playState !== "running"));
  const shot = async (name, options = {}) => {
    await still();
    await page.screenshot({ path: join(folder, `${name}.png`), ...options });
  };
  const text = (selector) => page.textContent(selector).then((found) => found.trim());
  const settled = (pattern) =>
    page.waitForFunction(
      (source) => document.querySelector("#progress").hidden
        && new RegExp(source).test(document.querySelector("#status").textContent),
      pattern.source, { timeout: PATIENCE });
  const open = (path) => page.setInputFiles("#file", path);
  const number = async (selector) => Number((await text(selector)).replace(/[^\d.]/g, ""));
  const save = async (button, name) => {
    const [given] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
    await given.saveAs(join(folder, name));
    return given.suggestedFilename();
  };

  await page.goto(url);
  await page.waitForFunction(() => !document.querySelector("#welcome").hidden && document.querySelector("#progress").hidden);
  await shot("welcome-wide");

  await open(photo);
  await settled(/decoded$/);
  seen.unasked = await text("#answer-note");
  seen.unaskedConfidence = await page.locator("#confidence-row").isVisible();
  await page.click('[data-head="street"]');
  await page.waitForSelector("#answer li");
  seen.photo = { name: await save("#download", "page.semc"), bytes: await number("#bytes"), bpp: await number("#bpp"),
    psnr: await number("#psnr"), title: await page.title() };
  await shot("photo-wide");

  await page.locator("#quality").fill("80");
  await page.waitForFunction((old) => Number(document.querySelector("#bytes").textContent.replace(/\D/g, "")) > old, seen.photo.bytes);
  await settled(/decoded$/);
  seen.finer = { bytes: await number("#bytes"), psnr: await number("#psnr") };

  const divider = page.locator("#divider");
  const before = await divider.getAttribute("aria-valuenow");
  await divider.focus();
  await page.keyboard.press("ArrowLeft");
  seen.divider = [Number(before), Number(await divider.getAttribute("aria-valuenow"))];

  await page.click(".switch"); // the box itself is hidden under its track
  await settled(/read without decoding$/);
  await page.waitForSelector("#answer li");
  seen.latents = { proof: await text("#proof"), labels: await page.locator("#answer li").allTextContents() };
  await shot("map-wide");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("map-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.click(".switch");
  await settled(/decoded$/);

  const rows = () => page.locator("#answer li .name").allTextContents();
  const sure = async (least, until) => {
    await page.locator("#confidence").fill(String(least));
    await page.waitForFunction(until, seen.sure.before.length);
    await settled(/decoded$/);
    return rows();
  };
  await page.click('[data-head="imagenette"]');
  await page.waitForSelector("#answer:not(.stale) li");
  await settled(/decoded$/);
  seen.sure = { before: await rows() };
  seen.sure.at = await sure(99, (before) => document.querySelectorAll("#answer li").length < before);
  seen.sure.value = await text("#confidence-value");
  seen.sure.note = await text("#answer-note");
  await shot("sure-wide");
  seen.sure.after = await sure(0, (before) => document.querySelectorAll("#answer li").length === before);

  await page.click("#tab-map");
  await page.click('[data-head="street"]');
  await page.waitForFunction(() => /Building|Tree|Sky|Road/.test(document.querySelector("#answer").textContent));
  await page.locator("#answer button").nth(1).click();
  await page.click("#tab-keep");
  await page.waitForFunction(() => document.querySelector("#keep-hint").textContent.includes("kept"));
  await page.waitForFunction((old) => Number(document.querySelector("#bytes").textContent.replace(/\D/g, "")) < old, seen.finer.bytes);
  await settled(/decoded$/);
  seen.kept = { name: await save("#download", "page-kept.semc"), bytes: await number("#bytes"), hint: await text("#keep-hint") };
  await shot("kept-wide");
  await page.click("#tab-picture");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("kept-dark");
  seen.kept.note = await text("#stage-note");
  await save("#save-png", "page-kept.png");
  await page.uncheck("#complete");
  await settled(/decoded$/);
  seen.kept.alone = await text("#stage-note");
  await page.check("#complete");
  await settled(/decoded$/);

  const changed = async (act) => {
    const old = await text("#bytes");
    await act();
    await page.waitForFunction((before) => document.querySelector("#bytes").textContent.trim() !== before, old);
    await settled(/decoded$/);
  };
  await page.click("#tab-keep");
  await changed(() => page.click("#clear"));
  const box = await page.locator("#stage").boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await changed(async () => {
    await page.mouse.move(x - 60, y);
    await page.mouse.down();
    await page.mouse.move(x + 60, y + 40, { steps: 8 });
    await page.mouse.up();
  });
  seen.painted = { hint: await text("#keep-hint"), bytes: await number("#bytes") };
  await save("#download", "page-painted.semc");
  await changed(() => page.click("#clear"));
  await page.click("#tab-map");
  await changed(() => page.check("#store"));
  await save("#download", "page-stored.semc");
  seen.stored = { bytes: await number("#bytes") };
  await page.click("#tab-picture");

  await open(file);
  await page.waitForFunction((name) => document.title.startsWith(name), file.split("/").pop());
  await settled(/decoded$/);
  seen.file = { bytes: await number("#bytes"), bpp: await number("#bpp") };
  await shot("file-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(NARROW);
  await shot("file-narrow");

  await open(damaged);
  await page.waitForSelector("#notices [role=alert]");
  seen.damaged = { message: await text("#notices [role=alert] p"), title: await page.title() };
  await shot("damaged-narrow");

  await page.reload();
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForFunction(() => document.querySelector("#progress").hidden);
  await shot("welcome-narrow");
  seen.narrow = { scrolls: await page.evaluate(() => document.documentElement.scrollWidth > innerWidth) };
  await open(photo);
  await settled(/decoded$/);
  await shot("photo-narrow", { fullPage: true });
  return { seen, strangers, problems };
}).catch((error) => ({ seen, failure: error.message }));
process.stdout.write(JSON.stringify(result));
