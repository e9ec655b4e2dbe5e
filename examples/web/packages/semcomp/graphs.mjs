// `node graphs.mjs FOLDER [--heads objects,street]`: copies what the package carries out of a folder that
// `semcomp export onnx` wrote, into graphs/. `node graphs.mjs --check` says whether graphs/ is whole.
//
// The package has the codec and the heads that are named. Generators stay out: a file decodes faithfully without them.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "graphs");
const NEEDED = ["analysis", "hyper", "sigma", "mean_first", "mean_next", "synthesis"];
const HOW = "make npm writes it";

/** The entries of a manifest that name files. */
function stored(manifest) {
  return [manifest.tables, ...Object.values(manifest.graphs), ...[manifest.lossless, manifest.restorer].filter(Boolean)];
}

/** The manifest without generators and without heads that were not named. */
function chosen(manifest, heads) {
  const unknown = heads.filter((name) => !(name in manifest.heads));
  if (unknown.length) throw new Error(`the folder has no head ${unknown[0]}; it has ${Object.keys(manifest.heads).join(", ")}`);
  const kept = Object.fromEntries(heads.map((name) => [name, manifest.heads[name]]));
  const graphs = Object.entries(manifest.graphs).filter(([name]) => {
    if (name.startsWith("generator_") || name === "blend") return false;
    if (name.startsWith("head_")) return heads.some((head) => kept[head].graph === name);
    if (name === "halve") return heads.some((head) => kept[head].halved_from);
    return name !== "label_map" || heads.some((head) => kept[head].task === "segment");
  });
  return { ...manifest, graphs: Object.fromEntries(graphs), heads: kept, generators: {} };
}

async function copy(folder, heads) {
  const manifest = chosen(JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")), heads);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  for (const { file } of stored(manifest)) await copyFile(join(folder, file), join(target, file));
  await writeFile(join(target, "manifest.json"), `${JSON.stringify(manifest)}\n`);
}

async function check() {
  const manifest = JSON.parse(await readFile(join(target, "manifest.json"), "utf8").catch(() => {
    throw new Error(`graphs/ has no manifest.json; ${HOW}`);
  }));
  const missing = NEEDED.filter((name) => !(name in manifest.graphs));
  if (missing.length) throw new Error(`graphs/ has no ${missing[0]}; ${HOW}`);
  for (const { file, sha256 } of stored(manifest)) {
    const data = await readFile(join(target, file)).catch(() => Buffer.alloc(0));
    if (createHash("sha256").update(data).digest("hex") !== sha256) throw new Error(`graphs/${file} is not whole; ${HOW}`);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true, options: { heads: { type: "string", default: "" }, check: { type: "boolean", default: false } },
});
try {
  if (positionals.length) await copy(resolve(positionals[0]), values.heads.split(",").filter(Boolean));
  await check();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
