// `node sizes.mjs`: what a page downloads to show a .semc file with <semc-img>, in bytes as stored, with gzip and with brotli.
//
// It counts the modules and the WebAssembly, the tables, and the graphs that decoding runs. Source maps, declarations,
// what only encoding and recognition need, and the tables of thumbnails are not downloaded for it. The exit status is 1
// where the sum with brotli is above 6 MB.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const LIMIT = 6_000_000;
const here = dirname(fileURLToPath(import.meta.url));
const manifest = JSON.parse(readFileSync(join(here, "graphs/manifest.json"), "utf8"));
const graphs = ["sigma", "refine", "mean_first", "mean_next", "points", "synthesis"].filter((name) => name in manifest.graphs);
const code = readdirSync(join(here, "dist")).filter((name) => /^(element|worker|shared-.*)\.js$/.test(name));
const files = [
  ...code.map((name) => `dist/${name}`),
  ...["mjs", "wasm"].map((end) => `dist/ort/ort-wasm-simd-threaded.${end}`),
  "graphs/manifest.json", `graphs/${manifest.tables.file}`, ...graphs.map((name) => `graphs/${manifest.graphs[name].file}`),
];
const total = [0, 0, 0];
const line = (name, sizes) => console.log(name.padEnd(44) + sizes.map((size) => size.toLocaleString("en").padStart(12)).join(""));
console.log(`${"".padEnd(44)}${["stored", "gzip", "brotli"].map((word) => word.padStart(12)).join("")}`);
for (const name of files) {
  const data = readFileSync(join(here, name));
  const options = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
  const sizes = [data.length, gzipSync(data, { level: 9 }).length, brotliCompressSync(data, { params: options }).length];
  sizes.forEach((size, i) => (total[i] += size));
  line(name, sizes);
}
line("sum", total);
if (total[2] > LIMIT) process.exitCode = 1;
