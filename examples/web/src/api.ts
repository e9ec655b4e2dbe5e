// What the page knows of everything that computes: one object, whose calls run in a Web Worker.
//
//     const client = new Client()
//     const facts = await client.ready()
//     await client.openPhoto(rgba, width, height)          // the analysis, once a photo
//     const { bytes } = await client.encode({ quality: 50 })
//     await client.openFile(bytes)                          // the latents stay in the worker
//     const labels = await client.recognise("street")       // the decoder does not run
//     const picture = await client.decode()
//
// Calls run one after the other, in the order in which they are made. A call fails with a ClientError, whose message
// is a sentence for a person. After `encode` the current latents are those of the new file, after `openFile` those of
// the opened one; `decode`, `recognise` and `symbols` read the current latents.

export type Step =
  | "engine" | "download" | "analysis" | "quantize" | "entropy" | "latents" | "synthesis" | "generator" | "head" | "map"
  | "exact";

/** Hears what is being done and how much of that step is done, 0..1. */
export type OnProgress = (step: Step, share: number) => void;

/** Milliseconds of each step that ran. */
export type Timings = Partial<Record<Step, number>> & { total: number };

export type ErrorKind = "format" | "model" | "image" | "memory";

/** `format`: the file is damaged or foreign; `model`: graphs or tables are missing or others; `image`: the photo or
 * the request cannot be taken as it is; `memory`: the picture is too large for this browser. */
export class ClientError extends Error {
  constructor(readonly kind: ErrorKind, message: string) {
    super(message);
    this.name = "ClientError";
  }
}

export interface HeadFacts {
  name: string;
  task: "classify" | "segment";
  classes: string[];
  /** R, G, B of each class; empty for a classifier. */
  palette: [number, number, number][];
  /** Whether the head is too often wrong to be relied on. */
  experimental: boolean;
}

export interface ClientFacts {
  codec: string;
  /** Hex, 16 digits. */
  entropyId: string;
  modelId: string;
  heads: HeadFacts[];
  /** 1 unless the page is cross-origin isolated. */
  threads: number;
  simd: boolean;
  /** Pixels of the largest picture that is taken. */
  maxPixels: number;
}

export interface ChunkFacts {
  name: string;
  bytes: number;
}

export interface Label {
  name: string;
  /** 0..1; of a segmenter the share of the picture. */
  score: number;
}

export interface FileFacts {
  width: number;
  height: number;
  quality: number;
  bytes: number;
  bpp: number;
  mode: "RGB" | "L";
  entropyId: string;
  modelId: string;
  codecName: string;
  chunks: ChunkFacts[];
  /** What the file itself says that it shows; `labelsSource` is the head's name, "" for a person's own. */
  storedLabels: Label[];
  labelsSource: string | null;
  /** Whether the scores of the stored labels are shares of the image's area. */
  labelsAreAreas: boolean;
  hasStoredMap: boolean;
  hasAlpha: boolean;
  /** Part of the picture is not stored, or is meant to be synthesised. */
  synthesised: boolean;
  /** Name of the generator that the file was made for. */
  generator: string | null;
  /** The generator of this page that completes it, null where it has none or none is needed. */
  completion: string | null;
  /** How the exact pixels are kept, null where the file has none: bits of a sample, and the largest error of any. */
  exact: { bits: number; near: number } | null;
  /** Whether heads can read the file. */
  hasLatents: boolean;
  /** Share of the 16x16 positions that are stored; null where all are. */
  kept: number | null;
  /** 1 for each stored position, row by row on a grid of ceil(height/16) x ceil(width/16); null where all are. */
  keepMask: Uint8Array | null;
  /** Sentences. */
  warnings: string[];
}

export interface EncodeRequest {
  /** 1..100 */
  quality: number;
  /** 1 for each position to store, as `keepMask`; not all and at least one. Left out: the whole picture. */
  keep?: Uint8Array;
  /** The segmenter whose label map a file with `keep` carries; no map where it is left out. */
  head?: string;
  /** Heads whose answers are stored in the file: labels of the first classifier, map of the first segmenter. */
  store?: string[];
}

export interface Encoded {
  bytes: Uint8Array<ArrayBuffer>;
  facts: FileFacts;
  timings: Timings;
}

export interface Opened {
  facts: FileFacts;
  timings: Timings;
}

export interface Picture {
  /** R, G, B, A of every pixel; where `keepMask` is 0 the colours mean nothing, unless a generator made them. */
  rgba: Uint8ClampedArray<ArrayBuffer>;
  /** What of it a generator made: a sentence, or "" for nothing. */
  synthesised: string;
  width: number;
  height: number;
  timings: Timings;
}

export interface Labels {
  task: "classify";
  head: string;
  /** The best first; empty where nothing is known. */
  labels: Label[];
  timings: Timings;
}

export interface Segmentation {
  task: "segment";
  head: string;
  /** Class number of every pixel, row by row; 255 where nothing is known. */
  map: Uint8Array<ArrayBuffer>;
  width: number;
  height: number;
  classes: string[];
  palette: [number, number, number][];
  /** Classes by the share of the picture that they cover. */
  labels: Label[];
  timings: Timings;
}

export interface SymbolsDump {
  z: Int16Array<ArrayBuffer>;
  y: Int16Array<ArrayBuffer>;
  /** Table number of each element of y, -1 where nothing is coded. */
  index: Int8Array<ArrayBuffer>;
  /** Of the elements of z, then of y, as 16 bits little-endian. */
  crc: number;
}

/** What crosses to the worker and back. */
export interface Request {
  id: number;
  call: string;
  args: unknown[];
}
export type Reply =
  | { id: number; step: Step; share: number }
  | { id: number; value: unknown; decoderRuns: number }
  | { id: number; error: { kind: ErrorKind; message: string } };

interface Pending {
  resolve: (value: never) => void;
  reject: (error: ClientError) => void;
  onProgress?: OnProgress;
}

const CRASHED = "the worker that computes has stopped, most likely because memory ran out; reload the page and "
  + "try a smaller picture";
const NOT_STARTED = "the worker that computes could not be started; reload the page, and build it again where that does "
  + "not help";

export class Client {
  /** How often the synthesis ran since the current latents were made. */
  decoderRuns = 0;
  private readonly worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private next = 1;
  /** Whether the worker ever answered. */
  private heard = false;

  /** `graphs` is the address of the folder that `semcomp export onnx` wrote, `worker` that of the built worker. */
  constructor({ graphs = "graphs/", worker = "worker.js" }: { graphs?: string; worker?: string } = {}) {
    const base = document.baseURI;
    this.worker = new Worker(new URL(worker, base), { type: "module", name: "semcomp" });
    this.worker.onmessage = (event: MessageEvent<Reply>) => this.receive(event.data);
    this.worker.onerror = (event) => {
      const [kind, sentence] = this.heard ? (["memory", CRASHED] as const) : (["model", NOT_STARTED] as const);
      this.fail(kind, event.message ? `${sentence} (${event.message})` : sentence);
    };
    void this.call("start", [new URL(graphs, base).href]).catch(() => {}); // ready() says what went wrong
  }

  /** Loads the manifest and the tables, and starts the engine. */
  ready(onProgress?: OnProgress): Promise<ClientFacts> {
    return this.call("ready", [], onProgress);
  }

  /** Runs the analysis of a photo; `rgba` is copied. Transparency goes into the file. */
  openPhoto(
    rgba: Uint8ClampedArray | ImageData, width: number, height: number, onProgress?: OnProgress,
  ): Promise<{ width: number; height: number; hasAlpha: boolean; timings: Timings }> {
    const data = rgba instanceof ImageData ? rgba.data : rgba;
    return this.call("openPhoto", [data, width, height], onProgress);
  }

  /** The file of the photo that was opened last. */
  encode(request: EncodeRequest, onProgress?: OnProgress): Promise<Encoded> {
    return this.call("encode", [request], onProgress);
  }

  /** Checks a file and reads its latents. */
  openFile(bytes: Uint8Array, onProgress?: OnProgress): Promise<Opened> {
    return this.call("openFile", [bytes], onProgress);
  }

  /** The picture of the current latents, completed by the generator of `FileFacts.completion` unless `faithful`. */
  decode({ faithful = false }: { faithful?: boolean } = {}, onProgress?: OnProgress): Promise<Picture> {
    return this.call("decode", [faithful], onProgress);
  }

  /**
   * What a head makes of the current latents; never runs the synthesis. `minConfidence`, 0 to 1, is the least probability
   * of what it says, besides its own limits.
   */
  recognise(
    head: string, onProgress?: OnProgress, { minConfidence = 0 }: { minConfidence?: number } = {},
  ): Promise<Labels | Segmentation> {
    return this.call("recognise", [head, minConfidence], onProgress);
  }

  /** The label map of a file that holds one, without any network. */
  storedMap(onProgress?: OnProgress): Promise<Segmentation> {
    return this.call("storedMap", [], onProgress);
  }

  /** The integers of the current file. */
  symbols(): Promise<SymbolsDump> {
    return this.call("symbols", []);
  }

  /** Ends the worker; calls that wait fail. */
  close(): void {
    this.worker.terminate();
    this.fail("model", "the client was closed; reload the page");
  }

  private call<T>(name: string, args: unknown[], onProgress?: OnProgress): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const id = this.next++;
      this.pending.set(id, { resolve, reject, onProgress });
      this.worker.postMessage({ id, call: name, args } satisfies Request);
    });
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
      waiting.reject(new ClientError(reply.error.kind, reply.error.message));
    } else {
      this.decoderRuns = reply.decoderRuns;
      waiting.resolve(reply.value as never);
    }
  }

  private fail(kind: ErrorKind, message: string): void {
    for (const waiting of this.pending.values()) waiting.reject(new ClientError(kind, message));
    this.pending.clear();
  }
}
