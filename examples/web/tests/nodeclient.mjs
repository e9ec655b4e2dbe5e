// `node tests/nodeclient.mjs GRAPHS JOBS.json FOLDER`: calls of the client in node, on the WebAssembly of the page.
//
// A job is {"do": "encode", "pixels": file of R G B A, "width", "height", "quality", "keep"?}, {"do": "open", "file"}
// or {"do": "recognise", "file", "head"}, whose row has the labels too.
// "decode": true draws the picture too, and "repeat" does everything several times, for the clock. With a "save",
// NAME.semc, .z and .y (16 bits), .index (8 bits) and .rgba go into FOLDER. One JSON list is on stdout: the timings of
// every time, or the error, of every job.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as ort from "onnxruntime-web";
import { Bundle, Workspace } from "../packages/semcomp/build/core.mjs";

const [graphs, jobsFile, folder] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const TYPES = { Float32Array: "float32", Uint8Array: "uint8", Int8Array: "int8", BigInt64Array: "int64" };
const quiet = () => {};

async function start(graph) {
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
  return {
    run: async (inputs, outputs) => {
      const tensor = ({ data, dims }) => new ort.Tensor(TYPES[data.constructor.name], data, dims);
      const feeds = Object.fromEntries(Object.entries(inputs).map(([name, plane]) => [name, tensor(plane)]));
      const found = await session.run(feeds, outputs);
      return Object.fromEntries(outputs.map((name) => [name, { data: found[name].data, dims: found[name].dims }]));
    },
  };
}

const fetchFile = async (name) => new Uint8Array(await readFile(join(graphs, name)));
const workspace = new Workspace(await Bundle.open(fetchFile, start), 1e9);

async function once(job) {
  if (job.do === "encode") {
    const { width, height, quality } = job;
    const pixels = new Uint8ClampedArray(await readFile(job.pixels));
    const opened = await workspace.openPhoto(pixels, width, height, quiet);
    const keep = job.keep ? new Uint8Array(await readFile(job.keep)) : undefined;
    const { bytes, timings } = await workspace.encode({ quality, keep }, quiet);
    return { bytes, timings: { ...opened.timings, ...timings } };
  }
  const { timings, facts } = await workspace.openFile(new Uint8Array(await readFile(job.file)), quiet);
  if (job.do === "recognise") {
    const { labels, map, timings: more } = await workspace.recognise(job.head, quiet);
    return { labels, map, timings: { ...timings, ...more } };
  }
  if (!job.decode) return { timings };
  const picture = await workspace.decode(true, quiet);
  return { facts, rgba: picture.rgba, timings: { ...timings, ...picture.timings } };
}

const rows = [];
for (const job of JSON.parse(await readFile(jobsFile, "utf8"))) {
  const row = { timings: [] };
  try {
    let done;
    for (let turn = 0; turn < (job.repeat ?? 1); turn++) row.timings.push((done = await once(job)).timings);
    if (done.labels) row.labels = done.labels;
    if (job.save && job.do === "recognise") {
      if (done.map) await writeFile(join(folder, `${job.save}.map`), done.map);
    } else if (job.save) {
      const { z, y, index } = done.facts && !done.facts.hasLatents ? {} : workspace.symbols();
      const parts = { z, y, index, semc: done.bytes, rgba: done.rgba };
      for (const [end, data] of Object.entries(parts)) if (data) await writeFile(join(folder, `${job.save}.${end}`), data);
    }
  } catch (error) {
    row.error = { kind: error.kind ?? error.name, message: error.message };
  }
  rows.push(row);
}
console.log(JSON.stringify(rows));
