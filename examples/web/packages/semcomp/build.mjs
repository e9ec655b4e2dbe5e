// `node build.mjs`: the package as it is published, in dist/. `--core` alone makes what the tests in node import.
import { execFileSync } from "node:child_process";
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const root = join(here, "../../../..");
const require = createRequire(import.meta.url);
const runtime = dirname(require.resolve("onnxruntime-web"));
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
  const browser = { ...common, outdir: dist, minify: true, sourcemap: true, platform: "browser" };
  await build({
    ...browser, entryPoints: { index: "src/index.ts", element: "src/element.ts", thumb: "src/thumb.ts" }, splitting: true,
    chunkNames: "shared-[hash]",
  });
  await build({
    ...browser, entryPoints: { worker: "src/worker.ts" },
    conditions: ["onnxruntime-web-use-extern-wasm"], // its glue is a file of its own, which threads load too
  });
  for (const end of ["mjs", "wasm"]) {
    const name = `ort-wasm-simd-threaded.${end}`;
    await cp(join(runtime, name), join(dist, "ort", name));
  }
  await cp(join(root, "semcomp/weights/thumbs.safetensors"), join(dist, "thumbs.safetensors"));
  await cp(join(root, "LICENSE"), join(here, "LICENSE"));
  await types();
}

/** Declarations. Their imports name what a user has: modules that end in .js. */
async function types() {
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", join(dist, "types")];
  execFileSync(process.execPath, [tsc, "-p", here, ...options], { stdio: "inherit" });
  for (const name of await readdir(join(dist, "types"), { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const file = join(dist, "types", name);
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace(/(from |import\()"(\.{1,2}\/[^"]*)\.ts"/g, '$1"$2.js"'));
  }
}
