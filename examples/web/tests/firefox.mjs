// Firefox without a driver of its own: Marionette, the protocol that every Firefox speaks on a local port.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PLACES = ["/usr/bin/firefox-esr", "/usr/bin/firefox", "/usr/lib/firefox-esr/firefox-esr"];
const PATIENCE = 240_000; // milliseconds; a busy machine is slow
const PREFERENCES = {
  "marionette.port": 0, "browser.shell.checkDefaultBrowser": false, "datareporting.policy.dataSubmissionEnabled": false,
  "browser.startup.page": 0, "app.update.enabled": false, "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false, "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** The Firefox to drive: FIREFOX of the environment, or the system's; null where there is none. */
export function findFirefox() {
  return [process.env.FIREFOX, ...PLACES].find((place) => place && existsSync(place)) ?? null;
}

/** Commands and answers on one socket: the length of a message, a colon, and [kind, id, ...] as JSON. */
class Marionette {
  constructor(socket) {
    this.socket = socket;
    this.waiting = new Map();
    this.rest = Buffer.alloc(0);
    this.next = 1;
    this.hello = new Promise((resolve) => (this.greeted = resolve));
    socket.on("data", (data) => this.receive(data));
    socket.on("close", () => this.waiting.forEach(({ reject }) => reject(new Error("Firefox has ended"))));
  }

  receive(data) {
    this.rest = Buffer.concat([this.rest, data]);
    for (;;) {
      const colon = this.rest.indexOf(":");
      const end = colon + 1 + Number(this.rest.subarray(0, Math.max(colon, 0)));
      if (colon < 0 || this.rest.length < end) return;
      const message = JSON.parse(this.rest.subarray(colon + 1, end));
      this.rest = this.rest.subarray(end);
      if (!Array.isArray(message)) {
        this.greeted();
        continue;
      }
      const [, id, error, value] = message;
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error) reject(new Error(`${error.error}: ${error.message}`));
      else resolve(value);
    }
  }

  send(command, parameters = {}) {
    const id = this.next++;
    const body = Buffer.from(JSON.stringify([0, id, command, parameters]));
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.write(Buffer.concat([Buffer.from(`${body.length}:`), body]));
    });
  }
}

/** The port that Firefox wrote into its profile. */
async function portOf(profile, child) {
  for (const start = Date.now(); Date.now() - start < PATIENCE; ) {
    const text = await readFile(join(profile, "MarionetteActivePort"), "utf8").catch(() => "");
    if (/^\d+/.test(text)) return Number.parseInt(text, 10);
    if (child.exitCode !== null) throw new Error(`Firefox ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("Firefox did not start");
}

/** One page of a headless Firefox: what withPage asks of a browser. `close` ends it. */
export async function openFirefox() {
  const profile = await mkdtemp(join(tmpdir(), "semcomp-firefox-"));
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
  await writeFile(join(profile, "user.js"), lines.join("\n"));
  const child = spawn(findFirefox(), ["--headless", "--no-remote", "--marionette", "--profile", profile], { stdio: "ignore" });
  const marionette = new Marionette(connect(await portOf(profile, child), "127.0.0.1"));
  await marionette.hello;
  const { capabilities } = await marionette.send("WebDriver:NewSession", { capabilities: {} });
  await marionette.send("WebDriver:SetTimeouts", { script: PATIENCE, pageLoad: PATIENCE });
  return {
    /** Marionette does not say what a page asks for; the policy of the server forbids all that is foreign. */
    strangers: () => [],
    version: `Firefox ${capabilities.browserVersion}`,
    goto: (url) => marionette.send("WebDriver:Navigate", { url }),
    async inject(address) {
      const script = `const added = document.createElement("script");
        added.type = "module"; added.src = arguments[0]; document.head.append(added);`;
      await marionette.send("WebDriver:ExecuteScript", { script, args: [address] });
    },
    async setFile(selector, path) {
      const found = await marionette.send("WebDriver:FindElement", { using: "css selector", value: selector });
      await marionette.send("WebDriver:ElementSendKeys", { id: Object.values(found.value)[0], text: path });
    },
    async screenshot(path) {
      const { value } = await marionette.send("WebDriver:TakeScreenshot", { full: false });
      await writeFile(path, Buffer.from(value, "base64"));
    },
    async close() {
      await marionette.send("Marionette:Quit", { flags: ["eForceQuit"] }).catch(() => {});
      if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
      await rm(profile, { recursive: true, force: true });
    },
  };
}
