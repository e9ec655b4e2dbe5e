// `node sizes.mjs [-o FILE] [--plain FOLDER]`: what a page downloads to show a .semc file with <semc-img>, in bytes as
// stored, with gzip and with brotli.
//
// It counts the modules and the WebAssembly, the tables, and the graphs that decoding runs. What encoding, exact pixels,
// a head and thumbnails add is shown apart. Source maps and declarations are not downloaded. --plain names a folder of graphs
// that were exported without --compact, and shows what these would take instead. -o writes a record as JSON, from which
// `python -m tools.results` writes the page. The exit status is 1 where the sum with brotli is above 6 MB.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const LIMIT = 6_000_000;
const WAYS = ["stored", "gzip", "brotli"];
const BROTLI = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
const DECODING = ["sigma", "refine", "mean_first", "mean_next", "points", "synthesis"];
const here = dirname(fileURLToPath(import.meta.url));

/** Bytes of files in every way, each file compressed by itself. */
function sizesOf(paths) {
  const total = { stored: 0, gzip: 0, brotli: 0 };
  for (const path of paths) {
    const data = readFileSync(path);
    const sizes = [data.length, gzipSync(data, { level: 9 }).length, brotliCompressSync(data, { params: BROTLI }).length];
    WAYS.forEach((way, i) => (total[way] += sizes[i]));
  }
  return total;
}

function manifestOf(folder) {
  return JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
}

/** Paths of the graphs of a folder that have these names. */
function graphsOf(folder, names) {
  const { graphs } = manifestOf(folder);
  return names.filter((name) => name in graphs).map((name) => join(folder, graphs[name].file));
}

/** What a folder of graphs needs for decoding. */
function decoding(folder) {
  return [join(folder, "manifest.json"), join(folder, manifestOf(folder).tables.file), ...graphsOf(folder, DECODING)];
}

/** What showing the first file downloads, by part. */
function first(folder) {
  const runtime = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).devDependencies["onnxruntime-web"];
  const code = readdirSync(join(here, "dist")).filter((name) => /^(element|worker|shared-.*)\.js$/.test(name));
  const engine = "ort/ort-wasm-simd-threaded";
  return {
    [`WebAssembly of onnxruntime-web ${runtime}`]: sizesOf([join(here, `dist/${engine}.wasm`)]),
    "graphs, tables and manifest of the codec": sizesOf(decoding(folder)),
    "code: element, worker, engine": sizesOf([...code, `${engine}.mjs`].map((name) => join(here, "dist", name))),
  };
}

/** What else adds, by what it is for. */
function more(folder) {
  const { graphs, heads, lossless } = manifestOf(folder);
  const found = { encoding: sizesOf(graphsOf(folder, ["analysis", "hyper"])) };
  if (lossless) {
    const names = Object.keys(graphs).filter((name) => name.startsWith("lossless_"));
    found["a file of exact pixels"] = sizesOf([join(folder, lossless.file), ...graphsOf(folder, names)]);
  }
  for (const [name, head] of Object.entries(heads)) {
    const names = head.task === "segment" ? [head.graph, "label_map"] : [head.graph];
    found[`the head ${name}`] = sizesOf(graphsOf(folder, names));
  }
  found.thumbnails = sizesOf([join(here, "dist/thumb.js"), join(here, "dist/thumbs.safetensors")]);
  return found;
}

/** Bytes of graphs without --compact, of the same weights. */
function plain(folder, model) {
  if (manifestOf(folder).model_id !== model) throw new Error(`${folder} holds graphs of other weights: export it again`);
  return sizesOf(decoding(folder));
}

function show(name, sizes) {
  console.log(name.padEnd(44) + WAYS.map((way) => sizes[way].toLocaleString("en").padStart(12)).join(""));
}

const { values } = parseArgs({ options: { output: { type: "string", short: "o" }, plain: { type: "string" } } });
const folder = join(here, "graphs");
const { name, model_id: model } = manifestOf(folder);
const result = { first: first(folder), more: more(folder) };
result.sum = Object.fromEntries(WAYS.map((way) => [way, Object.values(result.first).reduce((sum, part) => sum + part[way], 0)]));
if (values.plain) result.plain = plain(resolve(values.plain), model);
const passed = result.sum.brotli <= LIMIT;

console.log("".padEnd(44) + WAYS.map((way) => way.padStart(12)).join(""));
for (const [part, sizes] of Object.entries(result.first)) show(part, sizes);
show("sum", result.sum);
for (const [part, sizes] of Object.entries(result.more)) show(`${part} adds`, sizes);
if (result.plain) show("graphs of the codec, without --compact", result.plain);
if (values.output) {
  const origin = {
    benchmark: "web_size",
    command: ["node", relative(process.cwd(), process.argv[1]), ...process.argv.slice(2)].join(" "),
    date: new Date().toISOString().slice(0, 10),
    machine: { cpu: cpus()[0]?.model ?? "", cores: cpus().length },
    weights: { [name]: model },
  };
  const check = { name: "bytes with brotli to show the first file", value: result.sum.brotli, limit: `at most ${LIMIT}`, passed };
  mkdirSync(dirname(resolve(values.output)), { recursive: true });
  writeFileSync(values.output, `${JSON.stringify({ ...origin, ...result, checks: [check], passed }, null, 1)}\n`);
}
if (!passed) process.exitCode = 1;
