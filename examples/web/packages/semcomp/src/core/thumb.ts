// Shows the code of a thumbnail: `decodeThumb(code, tables)`. Any prefix of a code is a coarser thumbnail.
import { FormatError } from "./errors.ts";
import { roundHalfEven } from "./notes.ts";
import { AREA } from "./thumbcontext.ts";
import type { Layer, ThumbTables } from "./thumbtables.ts";
import { Walk } from "./thumbwalk.ts";

const RATIOS: [number, number][] = [
  [20, 19], [10, 9], [7, 6], [11, 9], [5, 4], [13, 10], [4, 3], [7, 5], [10, 7], [3, 2], [14, 9], [8, 5], [5, 3],
  [7, 4], [16, 9], [37, 20], [19, 10], [2, 1], [21, 10], [13, 6], [9, 4], [7, 3], [12, 5], [5, 2], [27, 10], [3, 1],
  [10, 3], [4, 1], [5, 1], [6, 1], [8, 1],
];
const SIDE = 32;
/** First byte of what a code without bytes is taken for: a long code, which shows a grey square. */
const EMPTY = 0x80;
const BLOCKS = 16;
const UNIT = 4;
const SCALE = 1024;
const COLOUR = [
  [3 ** -0.5, 3 ** -0.5, 3 ** -0.5], [2 ** -0.5, 0, -(2 ** -0.5)], [6 ** -0.5, -2 * 6 ** -0.5, 6 ** -0.5],
] as const;
const DCT = Float64Array.from({ length: AREA }, (_, i) => {
  const [k, n] = [i >> 5, i & 31];
  return Math.cos((Math.PI * k * (2 * n + 1)) / 64) * Math.sqrt(2 / 32) * (k ? 1 : Math.SQRT1_2);
});

export interface Thumb {
  /** R, G, B, A of the 32x32 canvas, which is stretched to the ratio. */
  rgba: Uint8ClampedArray<ArrayBuffer>;
  /** Width and height that the picture has in proportion. */
  ratio: [number, number];
  hasAlpha: boolean;
}

/** Bytes of a code from its text form; white space and incomplete characters at the end are dropped. */
export function thumbFromText(text: string): Uint8Array {
  const stripped = text.replace(/\s/g, "").replace(/=+$/, "");
  const wrong = /[^A-Za-z0-9_-]/.exec(stripped);
  if (wrong) {
    const place = Array.from(text.matchAll(/\S/g), (match) => match.index + 1)[wrong.index];
    throw new FormatError(
      `the thumbnail's text holds '${wrong[0]}' at character ${place}: only A-Z, a-z, 0-9, - and _ belong `
        + "there; copy the text again",
    );
  }
  const whole = stripped.length % 4 === 1 ? stripped.slice(0, -1) : stripped;
  return Uint8Array.from(atob(whole.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}

interface Header {
  ratio: [number, number];
  hasAlpha: boolean;
  short: boolean;
}

function unpackHeader(first: number): Header {
  const number = first & 0x3f;
  if (number > 2 * RATIOS.length) {
    throw new FormatError(
      `the thumbnail's code begins with byte 0x${first.toString(16).padStart(2, "0")}, which this version does not `
        + "know: load a newer page, or check that the code is whole",
    );
  }
  const [width, height] = number ? RATIOS[(number - 1) % RATIOS.length]! : [1, 1];
  const ratio: [number, number] = number <= RATIOS.length ? [width, height] : [height, width];
  return { ratio, hasAlpha: (first & 0x40) !== 0, short: (first & 0x80) === 0 };
}

/** Width and height in pixels of a ratio whose longer side is `longest`; halves go to the even number, as in Python. */
export function sizeWithin([width, height]: readonly [number, number], longest: number): [number, number] {
  const shorter = (short: number, long: number) => Math.max(1, roundHalfEven((longest * short) / long));
  return width >= height ? [longest, shorter(height, width)] : [shorter(width, height), longest];
}

/** The picture of a code, or of the beginning of one; an empty code is a grey square. */
export function decodeThumb(code: Uint8Array, tables: ThumbTables): Thumb {
  const { ratio, hasAlpha, short } = unpackHeader(code[0] ?? EMPTY);
  const channels = hasAlpha ? 4 : 3;
  const family = short ? tables.short : tables.long;
  const walk = new Walk(family, channels, code.subarray(1));
  walk.run();
  const planes = inverseDct(walk.shown(), channels, tables.weights, family.lift[walk.level]! / 256);
  const colours = repair(family.repair, toColours(planes), walk.level);
  const rgba = new Uint8ClampedArray(4 * AREA);
  for (let i = 0; i < AREA; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = Math.floor((colours[3 * i + c]! + 128 * UNIT + UNIT / 2) / UNIT);
    rgba[4 * i + 3] = hasAlpha ? Math.floor(planes[3 * AREA + i]! + 128.5) : 255;
  }
  return { rgba, ratio, hasAlpha };
}

/** Planes (channels, 32, 32) of values that are 256 times the coefficients; `lift` is the gain of higher frequencies. */
function inverseDct(values: Float64Array, channels: number, weights: Float64Array, lift: number): Float64Array {
  const planes = new Float64Array(channels * AREA);
  const half = new Float64Array(AREA);
  for (let c = 0; c < channels; c++) {
    for (let u = 0; u < SIDE; u++) {
      half.fill(0, u * SIDE, u * SIDE + SIDE);
      let empty = true;
      for (let v = 0; v < SIDE; v++) {
        const place = c * AREA + u * SIDE + v;
        if (!values[place]) continue;
        empty = false;
        const value = (values[place]! / 256 / weights[place]!) * (c < 3 && u * u + v * v > 2 ? lift : 1);
        for (let x = 0; x < SIDE; x++) half[u * SIDE + x]! += value * DCT[v * SIDE + x]!;
      }
      if (empty) continue;
      for (let y = 0; y < SIDE; y++) {
        const gain = DCT[u * SIDE + y]!;
        const row = c * AREA + y * SIDE;
        for (let x = 0; x < SIDE; x++) planes[row + x]! += gain * half[u * SIDE + x]!;
      }
    }
  }
  return planes;
}

/** Colours (32, 32, 3) as integers in 1/4 levels around 0. */
function toColours(planes: Float64Array): Float64Array {
  const out = new Float64Array(3 * AREA);
  for (let i = 0; i < AREA; i++) {
    for (let c = 0; c < 3; c++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) sum += planes[k * AREA + i]! * COLOUR[k]![c]!;
      out[3 * i + c] = Math.min(Math.max(roundHalfEven(sum * UNIT), -4096), 4095);
    }
  }
  return out;
}

/** Position of a canvas element in the network's blocks (16, 16, 12). */
const BLOCK_PLACE = Int32Array.from({ length: 3 * AREA }, (_, i) => {
  const c = i % 3;
  const x = Math.floor(i / 3) % SIDE;
  const y = Math.floor(i / (3 * SIDE));
  return ((y >> 1) * BLOCKS + (x >> 1)) * 12 + ((y & 1) * 2 + (x & 1)) * 3 + c;
});

function repair(layers: Layer[], colours: Float64Array, level: number): Float64Array {
  if (!layers.length) return colours;
  let x: Float64Array = new Float64Array(3 * AREA);
  for (let i = 0; i < colours.length; i++) x[BLOCK_PLACE[i]!] = colours[i]!;
  layers.forEach((layer, number) => {
    x = convolve(x, layer, level, number + 1 < layers.length);
  });
  return colours.map((value, i) => value + x[BLOCK_PLACE[i]!]!);
}

/** 3x3 convolution of (16, 16, inputs) with zeros around; zeros inside cost nothing. */
function convolve(x: Float64Array, { weight, bias, columns }: Layer, level: number, rectify: boolean): Float64Array {
  const outputs = columns;
  const inputs = x.length / (BLOCKS * BLOCKS);
  const out = new Float64Array(BLOCKS * BLOCKS * outputs);
  const sums = new Float64Array(outputs);
  const start = level * outputs;
  for (let y = 0; y < BLOCKS; y++) {
    for (let column = 0; column < BLOCKS; column++) {
      for (let o = 0; o < outputs; o++) sums[o] = bias[start + o]!;
      for (let tap = 0; tap < 9; tap++) {
        const row = y + Math.floor(tap / 3) - 1;
        const source = column + (tap % 3) - 1;
        if (row < 0 || row >= BLOCKS || source < 0 || source >= BLOCKS) continue;
        const from = (row * BLOCKS + source) * inputs;
        for (let i = 0; i < inputs; i++) {
          const value = x[from + i]!;
          if (value === 0) continue;
          const w = (tap * inputs + i) * outputs;
          for (let o = 0; o < outputs; o += 4) {
            sums[o]! += value * weight[w + o]!;
            sums[o + 1]! += value * weight[w + o + 1]!;
            sums[o + 2]! += value * weight[w + o + 2]!;
            sums[o + 3]! += value * weight[w + o + 3]!;
          }
        }
      }
      const target = (y * BLOCKS + column) * outputs;
      for (let o = 0; o < outputs; o++) {
        const value = Math.floor(sums[o]! / SCALE);
        out[target + o] = rectify && value < 0 ? 0 : value;
      }
    }
  }
  return out;
}
