// `node build.mjs`: everything that a static server needs, in dist/; with --core alone what the tests in node import.
import { cp, mkdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const runtime = join(here, "node_modules/onnxruntime-web/dist");
const common = {
  absWorkingDir: here, bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning",
};

await build({
  ...common, entryPoints: { core: "src/core/index.ts" }, outdir: join(here, "build"), platform: "node",
  outExtension: { ".js": ".mjs" },
});
if (!process.argv.includes("--core")) {
  await rm(dist, { recursive: true, force: true });
  await mkdir(join(dist, "ort"), { recursive: true });
  const entryPoints = { worker: "src/core/worker.ts", api: "src/api.ts", thumb: "src/thumb.ts" };
  if (existsSync(join(here, "src/page/main.ts"))) entryPoints.page = "src/page/main.ts";
  await build({
    ...common, entryPoints, outdir: dist, minify: true, sourcemap: true, platform: "browser",
    conditions: ["onnxruntime-web-use-extern-wasm"], // its glue is a file of its own, which threads load too
  });
  for (const name of ["index.html", "styles.css"]) {
    if (existsSync(join(here, name))) await cp(join(here, name), join(dist, name));
  }
  await cp(join(here, "../../semcomp/weights/thumbs.safetensors"), join(dist, "thumbs.safetensors"));
  await cp(join(here, "../photo.png"), join(dist, "photo.png")); // the sample that the page offers
  for (const end of ["mjs", "wasm"]) {
    const name = `ort-wasm-simd-threaded.${end}`;
    await cp(join(runtime, name), join(dist, "ort", name));
  }
}
