// onnxruntime-web: its WebAssembly build, served beside the page, on as many threads as the page may have.
import * as ort from "onnxruntime-web/wasm";
import { type Plane, type Session, type Start, engineError } from "./bundle.ts";

const MAX_THREADS = 4;

/** Sets the engine up; how many threads it will use. `wanted` is null where the page leaves that open. Threads share
 * memory, which browsers give to cross-origin isolated pages alone. */
export function prepare(wanted: number | null): number {
  const most = globalThis.crossOriginIsolated ? wanted ?? Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1) : 1;
  const threads = Math.max(1, Math.floor(most));
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = {
    mjs: new URL("./ort/ort-wasm-simd-threaded.mjs", import.meta.url).href,
    wasm: new URL("./ort/ort-wasm-simd-threaded.wasm", import.meta.url).href,
  };
  ort.env.logLevel = "error";
  return threads;
}

/** Whether WebAssembly has SIMD here: the smallest module that uses it (splat an i32, take lane 0). */
export function hasSimd(): boolean {
  return WebAssembly.validate(
    Uint8Array.of(
      0, 97, 115, 109, 1, 0, 0, 0, // magic, version
      1, 5, 1, 96, 0, 1, 127, // type 0: () -> i32
      3, 2, 1, 0, // function 0 is of type 0
      10, 11, 1, 9, 0, 65, 0, 253, 17, 253, 27, 0, 11, // i32.const 0, i32x4.splat, i32x4.extract_lane 0
    ),
  );
}

/** A session of a graph. */
export const startSession: Start = async (graph, name): Promise<Session> => {
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  } catch (error) {
    throw engineError(error, `the graph ${name}`);
  }
  return { run: (inputs, outputs) => run(session, name, inputs, outputs) };
};

const TYPES = { Float32Array: "float32", Uint8Array: "uint8", Int8Array: "int8", Int32Array: "int32", BigInt64Array: "int64" } as const;

async function run(
  session: ort.InferenceSession, name: string, inputs: Record<string, Plane>, outputs: readonly string[],
): Promise<Record<string, Plane>> {
  const feeds: Record<string, ort.Tensor> = {};
  for (const [key, { data, dims }] of Object.entries(inputs)) {
    feeds[key] = new ort.Tensor(TYPES[data.constructor.name as keyof typeof TYPES], data as never, dims);
  }
  try {
    const results = await session.run(feeds, outputs);
    return Object.fromEntries(
      outputs.map((key) => [key, { data: results[key]!.data as Plane["data"], dims: results[key]!.dims }]),
    );
  } catch (error) {
    throw engineError(error, `the graph ${name}`);
  }
}
