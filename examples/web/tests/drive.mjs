// `node tests/drive.mjs GRAPHS JOBS.json FOLDER [BROWSER]`: calls of the client in Chromium, or in Firefox where BROWSER is
// firefox, without the page around it. With a BROWSER that ends in "-alone" the page is not cross-origin isolated.
//
// A job is {"do": "encode", "pixels": file of R G B A, "width", "height", "quality", "keep"?, "store"?, "minConfidence"?} or
// {"do": "open", "file"}; with "recognise": names, "stored": true for the map that the file holds, "decode": true, and
// "faithful": true for no generator. With a
// "save", NAME.semc, .z and .y (16 bits), .index (8 bits), .keep, .rgba and HEAD.map go into FOLDER. A photo that was just
// opened is not analysed again, but where "repeat" has everything done several times, for the clock.
//
// On stdout stands one JSON object: the facts of the client, and for each job the facts of its file, its timings of every
// time, its answers, or its error.
import { open, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pageRoots } from "../serve.mjs";
import { bodyOf, peakMemory, withPage } from "./browser.mjs";

const [graphs, jobsFile, folder, browser = "chromium"] = process.argv.slice(2);
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
    await fetch(`/save/${encodeURIComponent(`${job.save}.${end}`)}`, { method: "POST", body: new Blob([data]) });
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
        const { quality, head, store, minConfidence } = job;
        const { bytes, facts, timings } = await client.encode({ quality, keep, head, store, minConfidence }, progress);
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
    if (row.facts.hasLatents !== false) {
      const { z, y, index, crc } = await client.symbols();
      row.crc = crc;
      await save("index", index);
      await save("z", z);
      await save("y", y);
    }
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

/** Serves an empty page and the jobs' files, and stores what comes of them. */
async function also(request, response, headers) {
  const [call, number, what, part] = new URL(request.url, "http://localhost").pathname.slice(1).split("/");
  const answer = (type, body) => response.writeHead(200, { ...headers, "Content-Type": type }).end(body);
  if (call === "empty") answer("text/html", "<!doctype html><title>empty</title>");
  else if (call === "job") answer("application/octet-stream", await piece(jobs[number][what], Number(part)));
  else if (call === "save") {
    await writeFile(join(folder, basename(decodeURIComponent(number))), await bodyOf(request));
    answer("text/plain", "");
  } else return false;
  return true;
}

const options = { roots: pageRoots(graphs), isolated: !browser.endsWith("-alone"), also };
const result = await withPage(browser.split("-")[0], options, async ({ page, evaluate, url }) => {
  await page.goto(`${url}empty`);
  const facts = await evaluate(async () => {
    const { Client } = await import("/semcomp/index.js");
    globalThis.client = new Client({ graphs: "/graphs/" });
    return { ...(await globalThis.client.ready()), isolated: crossOriginIsolated };
  });
  const rows = [];
  for (const [number, job] of jobs.entries()) {
    const row = await evaluate(runJob, [job, number]).catch((error) => ({ error: { kind: null, message: String(error) } }));
    rows.push({ ...row, peak: await peakMemory() });
  }
  return { facts, browser: page.version, strangers: page.strangers(url), rows };
});
process.stdout.write(JSON.stringify(result));
