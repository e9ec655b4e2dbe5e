// The server and a headless Chromium, for the tests that need a real browser.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The Chromium to drive: CHROMIUM of the environment, or the system's. */
export function findChromium() {
  const found = [process.env.CHROMIUM, ...PLACES].find((place) => place && existsSync(place));
  if (!found) throw new Error("no Chromium: install it, or name it in CHROMIUM");
  return found;
}

/** Starts the server on a free port. */
async function startServer(graphs) {
  const server = spawn(process.execPath, [join(root, "serve.mjs"), "--port", "0", "--graphs", graphs], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await new Promise((resolve, reject) => {
    server.stdout.once("data", (data) => resolve(String(data).trim()));
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return { server, url };
}

/** Runs `work({ browser, url })` with both, and ends them. */
export async function withBrowser(graphs, work) {
  const { server, url } = await startServer(graphs);
  let browser;
  try {
    const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    browser = await chromium.launch({ executablePath: findChromium(), args });
    return await work({ browser, url });
  } finally {
    await browser?.close();
    server.kill();
  }
}

/** Peak of the resident memory of the largest process of the browser in bytes, 0 where the system does not say. */
export async function peakMemory() {
  let most = 0;
  for (const pid of await readdir("/proc").catch(() => [])) {
    const [name, status] = await Promise.all(
      ["comm", "status"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")));
    if (!name.startsWith("chrom")) continue;
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
