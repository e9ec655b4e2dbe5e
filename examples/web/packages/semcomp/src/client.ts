// One worker that computes, and what is asked of it. `functions.ts` has the calls that most pages need.
//
//     const client = new Client()
//     await client.openPhoto(rgba, width, height)          // the analysis, once a photo
//     const { bytes } = await client.encode({ quality: 50 })
//     await client.openFile(bytes)                          // the latents stay in the worker
//     const labels = await client.recognise("street")       // the decoder does not run
//     const picture = await client.decode()
//
// Calls run one after the other, in the order in which they are made. A call fails with a SemcompError, whose message
// is a sentence for a person. After `encode` the current latents are those of the new file, after `openFile` those of
// the opened one. `decode`, `recognise` and `symbols` read the current latents. The calls that end in `File` and
// `Photo` do everything in one turn, so that callers who know nothing of each other may share a client.
import {
  type ClientFacts, type ClientOptions, type EncodeRequest, type Encoded, type Labels, type OnProgress, type Opened,
  type Picture, type Reply, type Request, type Restored, type Segmentation, SemcompError, type SymbolsDump, type Timings,
} from "./types.ts";

interface Pending {
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
  onProgress: OnProgress | undefined;
}

/** What every call takes besides its own arguments. */
export interface CallOptions {
  onProgress?: OnProgress;
  /** Ends the call with the signal's reason. Work that has begun runs to its end, unheard. */
  signal?: AbortSignal;
}

const CRASHED = "the worker that computes has stopped, most likely because memory ran out; reload the page and "
  + "try a smaller picture";
const NOT_STARTED = "the worker that computes could not be started; check that dist/worker.js of semcomp is served beside "
  + "dist/index.js, or name its address in configure";

export class Client {
  /** How often the synthesis ran since the current latents were made. */
  decoderRuns = 0;
  private readonly worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private next = 1;
  /** Whether the worker ever answered. */
  private heard = false;

  constructor({ graphs, worker, threads }: ClientOptions = {}) {
    const base = document.baseURI;
    const folder = graphs === undefined ? new URL("../graphs/", import.meta.url) : new URL(graphs, base);
    this.worker = worker === undefined ? ownWorker() : startWorker(new URL(worker, base));
    this.worker.onmessage = (event: MessageEvent<Reply>) => this.receive(event.data);
    this.worker.onerror = (event) => {
      const [kind, sentence] = this.heard ? (["memory", CRASHED] as const) : (["model", NOT_STARTED] as const);
      this.fail(kind, event.message ? `${sentence} (${event.message})` : sentence);
    };
    void this.call("start", [folder.href, threads ?? null]).catch(() => {}); // the calls that follow say what went wrong
  }

  /** Loads the manifest and the tables, and starts the engine. */
  ready(onProgress?: OnProgress): Promise<ClientFacts> {
    return this.call("ready", [], { onProgress });
  }

  /** Runs the analysis of a photo; `rgba` is copied. Transparency goes into the file. */
  openPhoto(
    rgba: Uint8ClampedArray | ImageData, width: number, height: number, onProgress?: OnProgress,
  ): Promise<{ width: number; height: number; hasAlpha: boolean; timings: Timings }> {
    const data = rgba instanceof ImageData ? rgba.data : rgba;
    return this.call("openPhoto", [data, width, height], { onProgress });
  }

  /** The file of the photo that was opened last. */
  encode(request: EncodeRequest, onProgress?: OnProgress): Promise<Encoded> {
    return this.call("encode", [request], { onProgress });
  }

  /** Checks a file and reads its latents. */
  openFile(bytes: Uint8Array, onProgress?: OnProgress): Promise<Opened> {
    return this.call("openFile", [bytes], { onProgress });
  }

  /** The picture of the current latents, completed by the generator of `FileFacts.completion` unless `faithful`. */
  decode({ faithful = false }: { faithful?: boolean } = {}, onProgress?: OnProgress): Promise<Picture> {
    return this.call("decode", [faithful], { onProgress });
  }

  /**
   * What a head makes of the current latents; never runs the synthesis. `minConfidence`, 0 to 1, is the least probability
   * of what it says, besides its own limits.
   */
  recognise(
    head: string, onProgress?: OnProgress, { minConfidence = 0 }: { minConfidence?: number } = {},
  ): Promise<Labels | Segmentation> {
    return this.call("recognise", [head, minConfidence], { onProgress });
  }

  /** The label map of a file that holds one, without any network. */
  storedMap(onProgress?: OnProgress): Promise<Segmentation> {
    return this.call("storedMap", [], { onProgress });
  }

  /** A JPEG file without the marks of compression; what is open stays open. Strength 0 shows what is stored, 1 all. */
  restore(bytes: Uint8Array, strength: number, options: CallOptions = {}): Promise<Restored> {
    return this.call("restore", [bytes, strength], options);
  }

  /** The integers of the current file. */
  symbols(): Promise<SymbolsDump> {
    return this.call("symbols", []);
  }

  /** `openFile` and `decode` in one turn. */
  decodeFile(
    bytes: Uint8Array, faithful: boolean, options: CallOptions = {},
  ): Promise<{ opened: Opened; picture: Picture }> {
    return this.call("decodeFile", [bytes, faithful], options);
  }

  /** `openPhoto` and `encode` in one turn. */
  encodePhoto(photo: ImageData, request: EncodeRequest, options: CallOptions = {}): Promise<Encoded> {
    return this.call("encodePhoto", [photo.data, photo.width, photo.height, request], options);
  }

  /** `openFile` and `recognise` in one turn. */
  recogniseFile(
    bytes: Uint8Array, head: string, minConfidence: number, options: CallOptions = {},
  ): Promise<Labels | Segmentation> {
    return this.call("recogniseFile", [bytes, head, minConfidence], options);
  }

  /** Ends the worker; calls that wait fail. */
  close(): void {
    this.worker.terminate();
    this.fail("model", "the client was closed; make another one");
  }

  private call<T>(name: string, args: unknown[], { onProgress, signal }: CallOptions = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const id = this.next++;
      this.pending.set(id, { resolve, reject, onProgress });
      this.post({ id, call: name, args });
      signal?.addEventListener("abort", () => this.cancel(id, signal.reason), { once: true });
    });
  }

  private post(request: Request): void {
    this.worker.postMessage(request);
  }

  private cancel(id: number, reason: unknown): void {
    const waiting = this.pending.get(id);
    if (!waiting) return;
    this.pending.delete(id);
    this.post({ cancel: id });
    waiting.reject(reason);
  }

  private receive(reply: Reply): void {
    this.heard = true;
    const waiting = this.pending.get(reply.id);
    if (!waiting) return;
    if ("step" in reply) {
      waiting.onProgress?.(reply.step, reply.share);
      return;
    }
    this.pending.delete(reply.id);
    if ("error" in reply) {
      waiting.reject(new SemcompError(reply.error.kind, reply.error.message));
    } else {
      this.decoderRuns = reply.decoderRuns;
      waiting.resolve(reply.value as never);
    }
  }

  private fail(kind: "memory" | "model", message: string): void {
    for (const waiting of this.pending.values()) waiting.reject(new SemcompError(kind, message));
    this.pending.clear();
  }
}

/** The worker beside this module. Bundlers find it by this very expression. */
function ownWorker(): Worker {
  const address = new URL("./worker.js", import.meta.url);
  if (address.origin !== location.origin) return startWorker(address);
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "semcomp" });
}

/** Browsers start no worker of another origin. A module of this page that imports it is allowed. */
function startWorker(address: URL): Worker {
  if (address.origin === location.origin) return new Worker(address, { type: "module", name: "semcomp" });
  const source = new Blob([`import ${JSON.stringify(address.href)};`], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(source), { type: "module", name: "semcomp" });
}
