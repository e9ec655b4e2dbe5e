// What crosses between a page and the worker that computes, and what calls give.

export type Step =
  | "engine" | "download" | "analysis" | "quantize" | "entropy" | "latents" | "synthesis" | "generator" | "head" | "map"
  | "exact" | "restoration";

/** Hears what is being done and how much of that step is done, 0..1. */
export type OnProgress = (step: Step, share: number) => void;

/** Milliseconds of each step that ran. */
export type Timings = Partial<Record<Step, number>> & { total: number };

export type ErrorKind = "format" | "model" | "image" | "memory" | "network";

/** Every error of this package. Its message is a sentence for a person.
 *
 * `format`: the file is damaged or foreign. `model`: graphs or tables are missing or are others. `image`: the photo or
 * the request cannot be taken as it is. `memory`: the picture is too large for this browser. `network`: the file could
 * not be loaded. */
export class SemcompError extends Error {
  constructor(readonly kind: ErrorKind, message: string) {
    super(message);
    this.name = "SemcompError";
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
  /** Whether JPEG files can be restored. */
  restores: boolean;
  /** Threads that WebAssembly uses: 1 unless the page is cross-origin isolated. */
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
  /** Name of the codec that this page has, null where none was loaded. */
  codecName: string | null;
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
  /** Least probability of what the heads of `store` say, 0 to 1, besides their own limits. */
  minConfidence?: number;
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

/** A JPEG file's picture, the right way up. */
export interface Restored {
  /** R, G, B, A of every pixel. */
  rgba: Uint8ClampedArray<ArrayBuffer>;
  width: number;
  height: number;
  /** What of the file could not be read, in words, or "". */
  damage: string;
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

/** What a client is made with. Every address may be relative to the page. */
export interface ClientOptions {
  /** The folder that `semcomp export onnx` wrote. Left out: `graphs/` of this package. */
  graphs?: string | URL;
  /** The built worker. Left out: `dist/worker.js` of this package. */
  worker?: string | URL;
  /** Threads of WebAssembly. Left out: up to 4 where the page is cross-origin isolated. Others have 1. */
  threads?: number;
}

/** What crosses to the worker and back. A call that is cancelled before its turn is left out. */
export interface Call {
  id: number;
  call: string;
  args: unknown[];
}
export type Request = Call | { cancel: number };
export type Reply =
  | { id: number; step: Step; share: number }
  | { id: number; value: unknown; decoderRuns: number }
  | { id: number; error: { kind: ErrorKind; message: string } };
