// The exported graphs: fetched when first needed, checked against the manifest, and run.
import type { HeadFacts, Step } from "../types.ts";
import { hex } from "./bytes.ts";
import { MemoryError, ModelError } from "./errors.ts";
import { type Manifest, type StoredFile, parseManifest } from "./manifest.ts";

/** A tensor that crosses to or from a graph. */
export interface Plane {
  data: Float32Array | Uint8Array | Int8Array | Int32Array | BigInt64Array;
  dims: readonly number[];
}

/** Runs one graph. onnxruntime-web's is in engine.ts; the tests bring others. */
export interface Session {
  run(inputs: Record<string, Plane>, outputs: readonly string[]): Promise<Record<string, Plane>>;
}

export type Start = (graph: Uint8Array, name: string) => Promise<Session>;
export type Progress = (step: Step, share: number) => void;
/** A file of the folder, with the bytes that came so far. */
export type Fetch = (file: string, heard: (bytes: number) => void) => Promise<Uint8Array<ArrayBuffer>>;

export class Bundle {
  private readonly sessions = new Map<string, Promise<Session>>();

  private constructor(
    readonly manifest: Manifest, readonly tables: Uint8Array, private readonly fetchFile: Fetch,
    private readonly start: Start,
  ) {}

  /** Reads the manifest and the tables. */
  static async open(fetchFile: Fetch, start: Start): Promise<Bundle> {
    const manifest = parseManifest(new TextDecoder().decode(await fetchFile("manifest.json", () => {})));
    const tables = await checked(manifest.tables, fetchFile, () => {});
    return new Bundle(manifest, tables, fetchFile, start);
  }

  get heads(): HeadFacts[] {
    return [...this.manifest.heads.values()].map(({ name, task, classes, palette, experimental }) =>
      ({ name, task, classes, palette, experimental }));
  }

  /** A file that the manifest names, checked. */
  file(entry: StoredFile, heard: (bytes: number) => void): Promise<Uint8Array> {
    return checked(entry, this.fetchFile, heard);
  }

  /** How far a graph's output sees. ModelError where it was not exported. */
  reach(name: string): number {
    return this.graph(name).reach;
  }

  /** Channels of an input (1, C, rows, columns) of a graph. */
  channels(name: string, input: string): number {
    return this.graph(name).channels.get(input)!;
  }

  /** The named outputs of a graph; `quality` is given to it where it is not null. */
  async run(
    name: string, quality: number | null, inputs: Record<string, Plane>, outputs: readonly string[], progress: Progress,
  ): Promise<Record<string, Plane>> {
    await this.need([name], progress);
    const session = await this.sessions.get(name)!;
    const all = quality === null ? inputs : { ...inputs, quality: { data: BigInt64Array.of(BigInt(quality)), dims: [1] } };
    return session.run(all, outputs);
  }

  /** Has graphs ready to run, so that a download shows as one. */
  async need(names: readonly string[], progress: Progress): Promise<void> {
    const missing = names.filter((name) => !this.sessions.has(name)).map((name) => ({ name, graph: this.graph(name) }));
    const total = missing.reduce((sum, { graph }) => sum + graph.bytes, 0);
    let before = 0;
    for (const { name, graph } of missing) {
      const first = this.sessions.size === 0; // it waits for the engine
      const heard = (bytes: number) => progress("download", Math.min(1, (before + bytes) / total));
      const session = checked(graph, this.fetchFile, heard).then((data) => {
        if (first) progress("engine", 0);
        return this.start(data, name);
      });
      this.sessions.set(name, session);
      try {
        await session;
      } catch (error) {
        this.sessions.delete(name); // the next call tries again
        throw error;
      }
      before += graph.bytes;
    }
  }

  private graph(name: string) {
    const graph = this.manifest.graphs.get(name);
    if (!graph) {
      throw new ModelError(
        `the folder of graphs has no ${name}, only ${[...this.manifest.graphs.keys()].join(", ")}: export it too`,
      );
    }
    return graph;
  }
}

async function checked(entry: StoredFile, fetchFile: Fetch, heard: (bytes: number) => void): Promise<Uint8Array> {
  const data = await fetchFile(entry.file, heard);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  if (hex(digest) !== entry.sha256) {
    throw new ModelError(`${entry.file} is not the file that its manifest names; export the graphs again`);
  }
  return data;
}

/** Fetches the files of a folder by its address. */
export function fetchFrom(folder: string): Fetch {
  return async (file, heard) => {
    const address = new URL(file, folder.endsWith("/") ? folder : `${folder}/`).href;
    let response: Response;
    try {
      response = await fetch(address);
    } catch (error) {
      throw new ModelError(`${file} could not be loaded (${(error as Error).message}); is the server still running?`);
    }
    if (!response.ok || !response.body) {
      throw new ModelError(
        `${file} could not be loaded: the server answered ${response.status}; write the folder of graphs with `
          + "semcomp export onnx",
      );
    }
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let bytes = 0;
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      heard((bytes += value.length));
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  };
}

/** A failure of the engine as a sentence; running out of memory is the one that a person can do something about. */
export function engineError(error: unknown, what: string): Error {
  const text = error instanceof Error ? error.message : String(error);
  if (/memory|alloc|oom|out of bounds|RangeError|Aborted/i.test(text) || error instanceof RangeError) {
    return new MemoryError(
      `this browser ran out of memory in ${what} (${text}); reload the page and try a smaller picture`,
    );
  }
  return new ModelError(`${what} does not run in this browser (${text}); use a newer browser`);
}
