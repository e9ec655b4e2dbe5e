// `node build.mjs`: the package, and the page that uses it, as everything that a static server needs in dist/.
// `--core` alone makes what the tests in node import.
import { execFileSync } from "node:child_process";
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const semcomp = join(here, "packages/semcomp");

execFileSync(process.execPath, [join(semcomp, "build.mjs"), ...process.argv.slice(2)], { stdio: "inherit" });
if (!process.argv.includes("--core")) {
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  await build({
    absWorkingDir: here, bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning",
    entryPoints: { page: "demo/src/main.ts" }, outdir: dist, minify: true, sourcemap: true, platform: "browser",
    plugins: [{
      name: "the package as it is published",
      setup: (page) => page.onResolve({ filter: /^semcomp$/ }, () => ({ path: "./semcomp/index.js", external: true })),
    }],
  });
  await cp(join(semcomp, "dist"), join(dist, "semcomp"), { recursive: true, filter: (name) => !name.endsWith("types") });
  for (const name of ["index.html", "styles.css", "offline.js"]) await cp(join(here, "demo", name), join(dist, name));
  await cp(join(here, "../photo.png"), join(dist, "photo.png")); // the sample that the page offers
  const code = (await readdir(join(dist, "semcomp"))).filter((name) => /^(index|worker|shared-[^.]*)\.js$/.test(name));
  const parts = [...code, "ort/ort-wasm-simd-threaded.mjs", "ort/ort-wasm-simd-threaded.wasm", "thumbs.safetensors"];
  const files = ["./", "page.js", "styles.css", "photo.png", ...parts.map((name) => `semcomp/${name}`)];
  await writeFile(join(dist, "files.json"), `${JSON.stringify(files)}\n`); // what offline.js keeps
}
