// How much a picture may ask of the browser, known before anything runs: WebAssembly's memory ends at 4 GiB, never
// shrinks, and a page that exceeds it loses its worker without a word.
import { MemoryError } from "./errors.ts";

/** Bytes that WebAssembly can have at most, less what the engine and the weights take. */
const WASM_LIMIT = 3.5e9;
/** Peak of the whole worker's process with a photo of 12 megapixels, in bytes a pixel (`python -m benchmarks.web`), and
 * some more; WebAssembly's own share of it is smaller. */
const BYTES_A_PIXEL = 140;
/** A device of at least so many GiB may give WebAssembly all that it can have; browsers name no more. */
const ROOMY = 8;

/** Pixels of the largest picture that is taken. `deviceMemory` is the browser's guess in GiB, where it makes one. */
export function maxPixels(deviceMemory: number | undefined): number {
  const share = deviceMemory === undefined ? 1 : Math.min(1, deviceMemory / ROOMY);
  return Math.floor((WASM_LIMIT * share) / BYTES_A_PIXEL);
}

/** MemoryError for a picture beyond the limit: in words, before memory runs out. */
export function checkSize(width: number, height: number, limit: number): void {
  const pixels = width * height;
  if (pixels <= limit) return;
  const mega = (count: number) => (count / 1e6).toFixed(count < 10e6 ? 1 : 0);
  throw new MemoryError(
    `${width} x ${height} is ${mega(pixels)} megapixels, and this browser's memory holds about ${mega(limit)}; `
      + "make the picture smaller, or use the semcomp command line, which has no such limit",
  );
}
