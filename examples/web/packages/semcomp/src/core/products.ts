// Does the engine sum products of bytes exactly? The tables of a file depend on it. An export writes down what its integer
// graphs give for the extreme values of bytes; the client runs them once and compares. semcomp/edge/products.py is the same.
import type { Bundle, Plane, Progress } from "./bundle.ts";
import { crc32 } from "./bytes.ts";
import { ModelError } from "./errors.ts";

const QUALITY = 50;
const NUMBER = 2;
const GRID = [3, 5];
const PLACES = 20;
const MIDDLE = 32 << 10;

/** -127 and 127 in an order without a short period. */
export function extremes(size: number): Int8Array {
  return Int8Array.from({ length: size }, (_, i) => ((((i * 40503) >> 7) ^ (i >> 3)) & 1 ? 127 : -127));
}

/** CRC-32 of integers as 32 bits. */
export function checksumOf(numbers: ArrayLike<number>): number {
  return crc32(new Uint8Array(Int32Array.from(numbers).buffer));
}

/** ModelError where a sum is wrong. A folder of an earlier export names no sums, and nothing is compared. */
export async function checkProducts(bundle: Bundle, progress: Progress): Promise<void> {
  const { products, hyper, latents, refined } = bundle.manifest;
  const runs: Record<string, () => Promise<Plane>> = {
    sigma: async () => {
      const z_hat = { data: Float32Array.from(extremes(hyper * GRID[0]! * GRID[1]!)), dims: [1, hyper, ...GRID] };
      const output = refined ? "sums" : "index";
      return (await bundle.run("sigma", QUALITY, { z_hat }, [output], progress))[output]!;
    },
    refine: async () => {
      const seen = { data: extremes(latents * 4 * PLACES), dims: [latents, 4, PLACES] };
      const sums = { data: new Float32Array(latents * PLACES).fill(MIDDLE), dims: [latents, PLACES] };
      const number = { data: BigInt64Array.of(BigInt(NUMBER)), dims: [1] };
      return (await bundle.run("refine", QUALITY, { seen, sums, number }, ["index"], progress)).index!;
    },
  };
  for (const [name, expected] of products) {
    const found = await runs[name]?.();
    if (found && checksumOf(found.data as Float32Array) !== expected) {
      throw new ModelError(
        `this browser does not sum the products of the graph ${name} exactly, so files would be read wrongly; use another `
          + "browser, or the semcomp command line",
      );
    }
  }
}
