// The noise that a generator reads: standard normal planes from a seed, as the library makes them. The integers are those of
// Philox4x64-10 (Salmon et al. 2011), two normal values of each by the transform of Box and Muller (1958).
import type { Span } from "./spans.ts";

/** Positions a side after which the noise repeats. */
export const TILE_OF_NOISE = 64;
const ROUNDS = 10;
/** Multipliers and key increments: high and low 32 bits. */
const MULTIPLIERS = [[0xd2e7470e, 0xe14c6c93], [0xca5a8263, 0x95121157]] as const;
const WEYL = [[0x9e3779b9, 0x7f4a7c15], [0xbb67ae85, 0x84caa73b]] as const;

export interface NoiseTile {
  /** (channels16, TILE, TILE) */
  coarse: Float32Array;
  /** (channels8, 2 TILE, 2 TILE) */
  fine: Float32Array;
}

/** The first `count` words of 64 bits for a seed below 2^32: high halves, low halves. */
export function philox(seed: number, count: number): { high: Uint32Array; low: Uint32Array } {
  const high = new Uint32Array(count);
  const low = new Uint32Array(count);
  const word = new Uint32Array(8); // high and low of four words
  const product = new Uint32Array(8);
  for (let at = 0, counter = 1; at < count; at += 4, counter++) {
    word.fill(0);
    [word[0], word[1]] = [Math.floor(counter / 2 ** 32), counter];
    let [key0High, key0Low, key1High, key1Low] = [0, seed >>> 0, 0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      multiply(MULTIPLIERS[0], word[0]!, word[1]!, product, 0);
      multiply(MULTIPLIERS[1], word[4]!, word[5]!, product, 4);
      const [second, secondLow, fourth, fourthLow] = [word[2]!, word[3]!, word[6]!, word[7]!];
      word[0] = product[4]! ^ second ^ key0High;
      word[1] = product[5]! ^ secondLow ^ key0Low;
      word[2] = product[6]!;
      word[3] = product[7]!;
      word[4] = product[0]! ^ fourth ^ key1High;
      word[5] = product[1]! ^ fourthLow ^ key1Low;
      word[6] = product[2]!;
      word[7] = product[3]!;
      [key0High, key0Low] = sum(key0High, key0Low, WEYL[0]);
      [key1High, key1Low] = sum(key1High, key1Low, WEYL[1]);
    }
    for (let k = 0; k < 4 && at + k < count; k++) {
      high[at + k] = word[2 * k]!;
      low[at + k] = word[2 * k + 1]!;
    }
  }
  return { high, low };
}

let last: { key: string; tile: NoiseTile } | null = null;

/** The planes of a seed; those of the last call are kept. */
export function noiseTile(seed: number, channels16: number, channels8: number): NoiseTile {
  const key = `${seed} ${channels16} ${channels8}`;
  if (last?.key === key) return last.tile;
  const coarse = channels16 * TILE_OF_NOISE ** 2;
  const total = coarse + channels8 * (2 * TILE_OF_NOISE) ** 2;
  const { high, low } = philox(seed, total / 2);
  const normal = new Float32Array(total);
  for (let k = 0; k < total / 2; k++) {
    const radius = Math.sqrt(-2 * Math.log(Math.fround(Math.fround(high[k]!) + 1) / 2 ** 32));
    const angle = Math.fround(Math.fround(low[k]!) * Math.fround((2 * Math.PI) / 2 ** 32));
    normal[k] = radius * Math.cos(angle);
    normal[total / 2 + k] = radius * Math.sin(angle);
  }
  last = { key, tile: { coarse: normal.subarray(0, coarse), fine: normal.subarray(coarse) } };
  return last.tile;
}

/** The part of an endless plane of tiles that belongs to these positions, each of `fine` x `fine` elements. */
export function noiseAt(tile: Float32Array, channels: number, rows: Span, columns: Span, fine: number): Float32Array {
  const period = fine * TILE_OF_NOISE;
  const [tall, wide] = [fine * (rows.high - rows.low), fine * (columns.high - columns.low)];
  const out = new Float32Array(channels * tall * wide);
  let to = 0;
  for (let c = 0; c < channels; c++) {
    for (let row = 0; row < tall; row++) {
      const line = (c * period + ((fine * rows.low + row) % period)) * period;
      for (let column = 0; column < wide; column++) out[to++] = tile[line + ((fine * columns.low + column) % period)]!;
    }
  }
  return out;
}

/** The 128 bits of a product of two words into four halves from `at` on, the highest first. */
function multiply([aHigh, aLow]: readonly [number, number], bHigh: number, bLow: number, out: Uint32Array, at: number): void {
  const lowLow = highHalf(aLow, bLow);
  const cross0 = Math.imul(aHigh, bLow) >>> 0;
  const cross1 = Math.imul(aLow, bHigh) >>> 0;
  const middle = lowLow + cross0 + cross1; // below 2^34: exact
  const top = highHalf(aHigh, bLow) + highHalf(aLow, bHigh) + (Math.imul(aHigh, bHigh) >>> 0) + Math.floor(middle / 2 ** 32);
  out[at + 3] = Math.imul(aLow, bLow);
  out[at + 2] = middle;
  out[at + 1] = top;
  out[at] = highHalf(aHigh, bHigh) + Math.floor(top / 2 ** 32);
}

/** The upper 32 bits of the product of two numbers of 32 bits. */
function highHalf(a: number, b: number): number {
  const [a1, a0, b1, b0] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = a1 * b0 + ((a0 * b0) >>> 16); // below 2^32
  const other = a0 * b1 + (middle & 0xffff);
  return a1 * b1 + (middle >>> 16) + (other >>> 16);
}

function sum(high: number, low: number, [otherHigh, otherLow]: readonly [number, number]): [number, number] {
  const total = low + otherLow;
  return [(high + otherHigh + (total >= 2 ** 32 ? 1 : 0)) >>> 0, total >>> 0];
}
