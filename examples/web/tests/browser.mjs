// The server and a headless browser, for the tests that need a real one.
import { existsSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { chromium } from "playwright-core";
import { pageRoots, staticServer } from "../serve.mjs";
import { openFirefox } from "./firefox.mjs";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The Chromium to drive: CHROMIUM of the environment, or the system's. */
export function findChromium() {
  const found = [process.env.CHROMIUM, ...PLACES].find((place) => place && existsSync(place));
  if (!found) throw new Error("no Chromium: install it, or name it in CHROMIUM");
  return found;
}

function launchChromium() {
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: findChromium(), args });
}

/** Starts the server on a free port; `options` are those of staticServer. */
async function startServer(options) {
  const server = staticServer(options);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://localhost:${server.address().port}/` };
}

function stop(server) {
  server.closeAllConnections();
  server.close();
}

/** Runs `work({ browser, url })` with the page's server and Playwright's Chromium, and ends them. */
export async function withBrowser(graphs, work) {
  const { server, url } = await startServer({ roots: pageRoots(graphs) });
  let browser;
  try {
    browser = await launchChromium();
    return await work({ browser, url });
  } finally {
    await browser?.close();
    stop(server);
  }
}

/** One page of a headless Chromium with the calls of openFirefox. */
async function openChromium() {
  const browser = await launchChromium();
  const page = await browser.newPage();
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  return {
    /** What the page asked for from anywhere but its server: it must be nothing. */
    strangers: (url) => requests.filter((each) => !/^(blob|data):/.test(each) && !each.startsWith(url)),
    version: `Chromium ${browser.version()}`, goto: (url) => page.goto(url),
    inject: (url) => page.addScriptTag({ url, type: "module" }),
    setFile: (selector, path) => page.setInputFiles(selector, path),
    screenshot: (path) => page.screenshot({ path }),
    close: () => browser.close(),
  };
}

/**
 * Functions that run in a page. A browser's own way to run one does so beside the page, in Firefox, or past its policy: here
 * the page loads a module from its server, and sends what came of it back.
 */
class Evaluations {
  constructor() {
    this.modules = [];
    this.waiting = [];
  }

  /** What `work(argument)` gives in the page. Both cross as JSON. */
  run(page, work, argument = null) {
    const number = this.modules.length;
    this.modules.push(`const send = (what) => fetch("/result/${number}", { method: "POST", body: JSON.stringify(what) });
      Promise.resolve(${JSON.stringify(argument)}).then(${work})
        .then((value) => send({ value }), (error) => send({ error: String(error?.stack ?? error) }));`);
    const answer = new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
    return page.inject(`/evaluate/${number}.js`).then(() => answer);
  }

  async serve(request, response, headers) {
    const [, call, number] = /^\/(evaluate|result)\/(\d+)/.exec(request.url) ?? [];
    if (!call) return false;
    if (call === "result") {
      const { value, error } = JSON.parse(await bodyOf(request));
      if (error) this.waiting[number].reject(new Error(error));
      else this.waiting[number].resolve(value);
    }
    response.writeHead(200, { ...headers, "Content-Type": "text/javascript" });
    response.end(call === "evaluate" ? this.modules[number] : "");
    return true;
  }
}

/**
 * Runs `work({ page, evaluate, url, asked })` with a page of the named browser, "chromium" or "firefox", and a server.
 * `asked` gets the addresses that were asked for. The policy of the server keeps the page from asking anybody else.
 */
export async function withPage(name, options, work) {
  const asked = [];
  const evaluations = new Evaluations();
  const also = async (request, response, headers) => {
    if (await evaluations.serve(request, response, headers)) return true;
    asked.push(request.url);
    return (await options.also?.(request, response, headers)) ?? false;
  };
  const { server, url } = await startServer({ ...options, also });
  let page;
  try {
    page = await (name === "firefox" ? openFirefox() : openChromium());
    const evaluate = (call, argument) => evaluations.run(page, call, argument);
    return await work({ page, evaluate, url, asked });
  } finally {
    await page?.close();
    stop(server);
  }
}

/** The body of a request. */
export async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

/** Peak of the resident memory of the largest process of the browser in bytes, 0 where the system does not say. */
export async function peakMemory() {
  let most = 0;
  for (const pid of await readdir("/proc").catch(() => [])) {
    const [name, status] = await Promise.all(
      ["comm", "status"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")));
    if (!/^(chrom|firefox|Web Content|Isolated Web)/.test(name)) continue;
    most = Math.max(most, 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
  }
  return most;
}

/** Notes what a page asks for from anywhere but the server: it must be nothing. */
export function watch(page, url) {
  const strangers = [];
  page.on("request", (request) => {
    if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(url)) strangers.push(request.url());
  });
  return strangers;
}
