// `node serve.mjs [--port 8088] [--graphs ../../out/edge]`: the built page and the graphs, on this machine alone.
//
// The two headers of cross-origin isolation let WebAssembly use threads; the policy lets the page talk to nobody else.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const types = {
  ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8", ".json": "application/json", ".map": "application/json",
  ".wasm": "application/wasm", ".svg": "image/svg+xml", ".png": "image/png", ".semc": "image/x-semc",
};
const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const common = {
  "Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; "
    + "img-src 'self' blob: data:; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};

/** The file that an address names, inside its root; null for none. */
function fileOf(address, roots) {
  const path = decodeURIComponent(new URL(address, "http://localhost").pathname);
  const [prefix, root] = Object.entries(roots).find(([start]) => path.startsWith(start));
  const file = normalize(join(root, path.slice(prefix.length) || "index.html"));
  return file.startsWith(root + sep) ? file : null;
}

/**
 * A server of folders by the start of their addresses, in the order in which they are asked. Without `isolated` pages have
 * one thread. `also` may answer a request first, and says whether it did.
 */
export function staticServer({ roots, isolated = true, also = async () => false }) {
  const headers = isolated ? { ...common, ...isolation } : common;
  return createServer(async (request, response) => {
    const refuse = (status, text) => response.writeHead(status, { ...headers, "Content-Type": "text/plain" }).end(text);
    if (await also(request, response, headers)) return;
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, "only GET");
    let file, found;
    try {
      file = fileOf(request.url, roots);
      found = file && (await stat(file));
    } catch {
      found = null;
    }
    if (!found?.isFile()) return refuse(404, "there is no such file");
    const tag = `"${found.size}-${found.mtimeMs}"`;
    const own = { ...headers, ETag: tag, "Content-Type": types[extname(file)] ?? "application/octet-stream" };
    if (request.headers["if-none-match"] === tag) return response.writeHead(304, own).end();
    response.writeHead(200, { ...own, "Content-Length": found.size });
    if (request.method === "HEAD") return response.end();
    createReadStream(file).on("error", () => response.destroy()).pipe(response);
  });
}

/** The folders of the built page and of the graphs. */
export function pageRoots(graphs) {
  return { "/graphs/": resolve(graphs), "/": join(here, "dist") };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8088" },
      graphs: { type: "string", default: join(here, "../../out/edge") },
    },
  });
  const server = staticServer({ roots: pageRoots(values.graphs) });
  server.on("error", (error) => {
    const busy = error.code === "EADDRINUSE";
    console.error(busy ? `port ${values.port} is taken; choose another with --port` : error.message);
    process.exitCode = 1;
  });
  server.listen(Number(values.port), "127.0.0.1", () => {
    console.log(`http://localhost:${server.address().port}/`);
  });
}
