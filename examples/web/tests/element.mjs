// `node tests/element.mjs BROWSER FILES SHOT.png`: <semc-img> in a page, in Chromium or Firefox, from the package's folder
// as npm installs it.
//
// FILES holds photo.semc with a stored preview, other.semc of another size, part.semc that keeps a part, damaged.semc, and
// thumb.txt with the text of a thumbnail. On stdout is one JSON object with what the page showed.
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { withPage } from "./browser.mjs";

const [browser, files, shot] = process.argv.slice(2);
const thumb = (await readFile(join(files, "thumb.txt"), "utf8")).trim();

/** What the steps below share, in the page. */
async function setUp() {
  const { SemcImage } = await import("/semcomp/dist/element.js");
  globalThis.added = (attributes, inside = "") => {
    const element = document.createElement("semc-img");
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.innerHTML = inside;
    document.body.append(element);
    return element;
  };
  globalThis.ended = (element) =>
    new Promise((resolve) => ["load", "error"].forEach((name) => element.addEventListener(name, () => resolve(name))));
  globalThis.part = (element, name) => element.shadowRoot.querySelector(`[part=${name}]`);
  globalThis.size = (element) => [element.offsetWidth, element.offsetHeight];
  return customElements.get("semc-img") === SemcImage;
}

async function shows() {
  const element = added({ src: "/files/photo.semc", alt: "A street in the rain" });
  const before = { complete: element.complete, natural: element.naturalWidth };
  const event = await ended(element);
  const picture = part(element, "picture");
  const { data } = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
  const { decode } = await import("/semcomp/dist/index.js");
  const { imageData } = await decode("/files/photo.semc");
  await element.decode();
  return {
    before, event, preview: !part(element, "preview").hidden, complete: element.complete, size: size(element),
    natural: [element.naturalWidth, element.naturalHeight], role: picture.getAttribute("role"),
    name: picture.getAttribute("aria-label"), current: new URL(element.currentSrc).pathname,
    same: data.every((value, i) => value === imageData.data[i]), bytes: element.info.bytes,
  };
}

async function sizes() {
  const found = {};
  for (const [name, attributes] of Object.entries({
    width: { width: "100" }, height: { height: "50px" }, both: { width: "120", height: "120" }, nonsense: { width: "wide" },
  })) {
    const element = added({ src: "/files/photo.semc", alt: "", ...attributes });
    await ended(element);
    found[name] = size(element);
    if (name === "both") {
      element.style.objectFit = "cover";
      found.fit = getComputedStyle(part(element, "picture")).objectFit;
      element.style.width = "60px";
      found.styled = size(element);
      element.style.height = "auto";
      found.auto = size(element);
      found.role = part(element, "picture").getAttribute("role");
    }
    element.remove();
  }
  return found;
}

async function lazy() {
  const spacer = document.createElement("div");
  spacer.style.height = "6000px";
  document.body.append(spacer);
  const element = added({ src: "/files/other.semc", alt: "below", loading: "lazy", width: "64", height: "64" });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const early = element.naturalWidth;
  const waiting = ended(element);
  element.scrollIntoView();
  const event = await waiting;
  const found = { early, event, natural: [element.naturalWidth, element.naturalHeight] };
  element.remove();
  spacer.remove();
  scrollTo(0, 0);
  return found;
}

async function fails() {
  const damaged = added({ src: "/files/damaged.semc", alt: "A street" });
  const event = await ended(damaged);
  const text = part(damaged, "fallback").textContent.trim();
  const rejected = await damaged.decode().then(() => null, (error) => error.message);
  const missing = added({ src: "/files/none.semc" }, "<b>the same as text</b>");
  await ended(missing);
  const slot = missing.shadowRoot.querySelector("slot");
  const found = {
    event, text, rejected, kind: damaged.error.kind, network: missing.error.kind, complete: damaged.complete,
    fallback: slot.assignedElements().map((each) => each.textContent), tall: missing.offsetHeight > 0,
    seen: [damaged, missing].map((each) => getComputedStyle(part(each, "picture")).display),
  };
  missing.setAttribute("src", "/files/photo.semc");
  found.after = [await ended(missing), missing.error, getComputedStyle(part(missing, "fallback")).display];
  damaged.remove();
  missing.remove();
  return found;
}

async function changes() {
  const element = added({ src: "/files/never.semc", alt: "one" });
  const events = [];
  for (const name of ["load", "error"]) element.addEventListener(name, () => events.push(name));
  await new Promise((resolve) => setTimeout(resolve, 50)); // its fetch is on the way, and stays there
  element.src = "/files/photo.semc";
  await null; // no answer arrives before the next task
  element.src = "/files/other.semc";
  element.alt = "two";
  await ended(element);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return {
    events, natural: [element.naturalWidth, element.naturalHeight], src: new URL(element.src).pathname,
    name: part(element, "picture").getAttribute("aria-label"),
  };
}

async function partly() {
  const element = added({ src: "/files/part.semc", alt: "a part" });
  await ended(element);
  const picture = part(element, "picture");
  const { data } = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
  let clear = 0;
  for (let i = 3; i < data.length; i += 4) clear += data[i] === 0;
  return { clear: clear / (data.length / 4), kept: element.info.kept, title: picture.title };
}

async function thumbnail(code) {
  const element = added({ src: "/files/never.semc", alt: "", thumb: code, width: "64", height: "64" });
  for (let i = 0; i < 100 && part(element, "preview").hidden; i++) await new Promise((resolve) => setTimeout(resolve, 50));
  const preview = part(element, "preview");
  const { data } = preview.getContext("2d").getImageData(0, 0, preview.width, preview.height);
  return { shown: !preview.hidden, colours: new Set(new Uint32Array(data.buffer)).size, complete: element.complete };
}

/** Calls of functions.ts beside the element. */
async function calls() {
  const { decode, encode, info, classify, segment, sharedClient } = await import("/semcomp/dist/index.js");
  const address = "/files/photo.semc";
  const blob = await (await fetch("/photo.png")).blob();
  const { bytes } = await encode(blob, { quality: 20 });
  const again = await decode(bytes);
  const facts = await info(await fetch(address));
  const controller = new AbortController();
  let busy;
  await new Promise((resolve) => (busy = encode(blob, { quality: 30, onProgress: resolve })));
  const dropped = decode(bytes, { signal: controller.signal }).then(() => "decoded", (error) => error.name);
  await new Promise((resolve) => setTimeout(resolve)); // it waits behind the photo that the worker encodes
  controller.abort();
  const heads = (await sharedClient().ready()).heads.map(({ name, task }) => [name, task]);
  const answers = {};
  for (const [name, task] of heads.slice(0, 3)) {
    const answer = await (task === "classify" ? classify : segment)(address, { head: name });
    answers[name] = [answer.task, answer.labels.length, answer.map?.length ?? null];
  }
  const wrong = await segment(address, { head: heads.find(([, task]) => task === "classify")[0] }).catch((error) => error.kind);
  return {
    encoded: [bytes.length, again.imageData.width, again.imageData.height, again.facts.quality],
    info: [facts.width, facts.height, facts.quality, facts.codecName], dropped: await dropped,
    busy: (await busy).facts.quality, answers, wrong,
    html: await info(new TextEncoder().encode("<!doctype html>")).catch((error) => error.kind),
  };
}

const page = "<!doctype html><html lang=en><meta charset=utf-8><title>semc-img</title><body>";
const here = dirname(fileURLToPath(import.meta.url));
const roots = {
  "/files/": resolve(files), "/semcomp/": join(here, "../packages/semcomp"), "/": join(here, "../dist"), // for photo.png
};
const also = async (request, response, headers) => {
  if (request.url === "/files/never.semc") return true; // an answer that never comes
  if (request.url !== "/element") return false;
  response.writeHead(200, { ...headers, "Content-Type": "text/html" }).end(page);
  return true;
};
const result = await withPage(browser, { roots, also }, async ({ page, evaluate, url, asked }) => {
  await page.goto(`${url}element`);
  const seen = { defined: await evaluate(setUp) };
  const steps = { shows, sizes, lazy, fails, changes, partly, calls };
  for (const [name, step] of Object.entries(steps)) {
    if (name === "lazy") seen.askedBefore = asked.filter((address) => address.includes("other")).length;
    seen[name] = await evaluate(step);
  }
  seen.thumbnail = await evaluate(thumbnail, thumb);
  await page.screenshot(shot);
  return { seen, strangers: page.strangers(url), version: page.version };
}).catch((error) => ({ failure: String(error.stack ?? error) }));
process.stdout.write(JSON.stringify(result));
