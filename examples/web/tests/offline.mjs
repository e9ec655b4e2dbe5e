// `node tests/offline.mjs BROWSER GRAPHS SHOT.png`: the page, and the page again when its server is gone.
//
// On stdout is one JSON object: whether the page was isolated, and what it said of the sample without a network. The server
// sends no headers of isolation, as that of a documentation.
import { pageRoots } from "../serve.mjs";
import { withPage } from "./browser.mjs";

const [browser, graphs, shot] = process.argv.slice(2);

/** Waits until the worker has kept everything. */
async function kept() {
  const { active } = await navigator.serviceWorker.ready;
  if (active.state !== "activated") await new Promise((resolve) => active.addEventListener("statechange", resolve, { once: true }));
  return (await (await caches.open("semcomp-page-1")).keys()).length;
}

/** Opens the sample as a person does, and waits until it was decoded. */
async function sample() {
  document.querySelector("#sample").click();
  const status = document.querySelector("#status");
  for (let i = 0; i < 1200; i++) {
    if (/decoded$/.test(status.textContent)) break;
    const alert = document.querySelector("#notices [role=alert]");
    if (alert) throw new Error(alert.textContent);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { status: status.textContent, isolated: crossOriginIsolated };
}

let gone = false;
const also = async (request) => {
  if (gone) request.socket.destroy();
  return gone;
};
const result = await withPage(browser, { roots: pageRoots(graphs), isolated: false, also }, async ({ page, evaluate, url }) => {
  await page.goto(url);
  const files = await evaluate(kept);
  gone = true;
  await page.goto(url);
  const seen = await evaluate(sample);
  await page.screenshot(shot);
  return { files, seen };
}).catch((error) => ({ failure: String(error.stack ?? error) }));
process.stdout.write(JSON.stringify(result));
