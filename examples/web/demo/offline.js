// The page without a network, on any static server: a service worker that keeps what the page has loaded.
//
// At its installation it loads the page and the graphs of the codec. Everything else, a head for one, is kept once it was
// used. The network comes first, so that a newer page is seen at once; without it, the copy answers. Documents get the
// headers of cross-origin isolation, which many static servers cannot send: WebAssembly may then use threads.
const STORE = "semcomp-page-1";
const GRAPHS = "graphs/";
const NEEDED = ["analysis", "hyper", "sigma", "refine", "mean_first", "mean_next", "points", "synthesis"];

async function install() {
  const files = await (await fetch("files.json", { cache: "no-cache" })).json();
  const manifest = await (await fetch(`${GRAPHS}manifest.json`, { cache: "no-cache" })).json();
  const graphs = NEEDED.filter((name) => name in manifest.graphs).map((name) => manifest.graphs[name].file);
  const store = await caches.open(STORE);
  await store.addAll([...files, ...["manifest.json", manifest.tables.file, ...graphs].map((name) => GRAPHS + name)]);
  await self.skipWaiting();
}

function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

async function answer(request) {
  const store = await caches.open(STORE);
  let response;
  try {
    response = await fetch(request);
    if (response.ok) await store.put(request, response.clone());
  } catch (error) {
    response = await store.match(request, { ignoreSearch: true, ignoreVary: true });
    if (!response && request.mode === "navigate") response = await store.match("./", { ignoreVary: true });
    if (!response) throw error;
  }
  const shields = ["document", "worker", "sharedworker"].includes(request.destination) || request.mode === "navigate";
  return shields && response.type !== "opaque" ? isolated(response) : response;
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});
