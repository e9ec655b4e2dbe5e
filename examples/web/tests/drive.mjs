// `node tests/drive.mjs GRAPHS JOBS.json FOLDER`: calls of the client in Chromium, without the page around it.
//
// A job is {"do": "encode", "pixels": file of R G B A, "width", "height", "quality", "keep"?, "store"?} or
// {"do": "open", "file"}; with "recognise": names, "stored": true for the map that the file holds, "decode": true, and
// "faithful": true for no generator. With a
// "save", NAME.semc, .z and .y (16 bits), .index (8 bits), .keep, .rgba and HEAD.map go into FOLDER. A photo that was just
// opened is not analysed again, but where "repeat" has everything done several times, for the clock.
//
// On stdout stands one JSON object: the facts of the client, and for each job the facts of its file, its timings of every
// time, its answers, or its error.
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { peakMemory, watch, withBrowser } from "./browser.mjs";

const [graphs, jobsFile, folder] = process.argv.slice(2);
const jobs = JSON.parse(await readFile(jobsFile, "utf8"));

/** Bytes of a file that cross to the browser at once: it ends where one message is too long. */
const PIECE = 1 << 24;

async function piece(path, number) {
  const file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(PIECE), 0, PIECE, number * PIECE);
  await file.close();
  return buffer.subarray(0, bytesRead);
}

/** Runs in the page: one job. */
async function runJob([job, number]) {
  const client = globalThis.client;
  const load = async (what) => {
    const parts = [];
    for (let part = 0; !parts.length || parts.at(-1).size; part++) {
      parts.push(await (await fetch(`/job/${number}/${what}/${part}`)).blob());
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  };
  const save = async (end, data) => {
    if (!job.save) return;
    const address = await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(new Blob([data]));
    });
    await globalThis.saveFile(`${job.save}.${end}`, address.slice(address.indexOf(",") + 1));
  };
  const row = { timings: [], answers: {} };
  const steps = {};
  const progress = (step, share) => (steps[step] = Math.max(steps[step] ?? 0, share));
  try {
    for (let turn = 0; turn < (job.repeat ?? 1); turn++) {
      const times = {};
      const last = turn === (job.repeat ?? 1) - 1;
      if (job.do === "encode") {
        const photo = `${job.pixels} ${job.width} ${job.height}`;
        const known = globalThis.opened === photo && !job.repeat;
        const pixels = known ? null : new Uint8ClampedArray((await load("pixels")).buffer);
        const keep = job.keep ? await load("keep") : undefined;
        globalThis.opened = null;
        const start = performance.now();
        if (!known) times.photo = (await client.openPhoto(pixels, job.width, job.height, progress)).timings;
        globalThis.opened = photo;
        const { quality, head, store } = job;
        const { bytes, facts, timings } = await client.encode({ quality, keep, head, store }, progress);
        times.wall = performance.now() - start;
        [times.encode, row.facts] = [timings, { ...facts, keepMask: null }];
        if (last) await save("semc", bytes);
      } else {
        const bytes = await load("file");
        const start = performance.now();
        const { facts, timings } = await client.openFile(bytes, progress);
        if (job.decode) times.decode = (await client.decode({ faithful: job.faithful }, progress)).timings;
        times.wall = performance.now() - start;
        [times.open, row.facts] = [timings, { ...facts, keepMask: null }];
        if (last && facts.keepMask) await save("keep", facts.keepMask);
      }
      row.timings.push(times);
    }
    const { z, y, index, crc } = await client.symbols();
    row.crc = crc;
    await save("index", index);
    await save("z", z);
    await save("y", y);
    for (const head of job.recognise ?? []) {
      const answer = await client.recognise(head, progress);
      row.answers[head] = { ...answer, map: undefined, decoderRuns: client.decoderRuns };
      if (answer.map) await save(`${head}.map`, answer.map);
    }
    if (job.stored) {
      const answer = await client.storedMap(progress);
      row.answers.stored = { ...answer, map: undefined };
      await save("stored.map", answer.map);
    }
    row.decoderRuns = client.decoderRuns;
    if (job.decode) {
      const picture = await client.decode({ faithful: job.faithful }, progress);
      row.synthesised = picture.synthesised;
      await save("rgba", picture.rgba);
    }
  } catch (error) {
    row.error = { kind: error.kind ?? null, message: error.message };
  }
  return { ...row, steps };
}

const result = await withBrowser(graphs, async ({ browser, url }) => {
  const page = await browser.newPage();
  const strangers = watch(page, url);
  const isolated = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
  await page.route(`${url}empty`, (route) =>
    route.fulfill({ contentType: "text/html", headers: isolated, body: "<!doctype html><title>empty</title>" }));
  await page.route(`${url}job/*/*/*`, async (route) => {
    const [number, what, part] = new URL(route.request().url()).pathname.split("/").slice(2);
    const body = await piece(jobs[number][what], Number(part));
    return route.fulfill({ body, contentType: "application/octet-stream" });
  });
  await page.exposeFunction("saveFile", (name, data) => writeFile(join(folder, name), Buffer.from(data, "base64")));
  await page.goto(`${url}empty`);
  const facts = await page.evaluate(async () => {
    const { Client } = await import("/api.js");
    globalThis.client = new Client();
    return { ...(await globalThis.client.ready()), isolated: crossOriginIsolated };
  });
  const rows = [];
  for (const [number, job] of jobs.entries()) {
    const row = await page.evaluate(runJob, [job, number]).catch((error) => ({ error: { kind: null, message: String(error) } }));
    rows.push({ ...row, peak: await peakMemory() });
  }
  return { facts, browser: browser.version(), strangers, rows };
});
process.stdout.write(JSON.stringify(result));
