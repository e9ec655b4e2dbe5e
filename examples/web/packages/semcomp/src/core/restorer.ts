// Restores JPEG files: a network corrects the coefficients, and every answer stays in the cells of what the file stores. It
// is what semcomp.edge.restorer does in Python, with the same graph.
import { AREA, SIDE, WINDOW, enlarge, forwardDct, inverseDct, windowDct } from "./blockdct.ts";
import { ImageError } from "./errors.ts";
import type { JpegFile, JpegPlane } from "./jpeg.ts";
import { type Span, tiles } from "./spans.ts";

const PLANES = 3;
const WINDOWS = WINDOW * WINDOW + 2 * AREA;
/** Blocks a side of a tile, and what the halo is rounded to: tiles begin where a block of chroma begins. */
const TILE = 96;
const ROUNDED = 4;
/** Distance of an answer from the edge of its cell, at most an eighth of a step. */
const MARGIN = 0.5;
/** Largest magnitude of a coefficient of 8-bit samples. Larger ones are damage, which would spread to the blocks around. */
const LARGEST = 2048;
/** Largest step of 8 bits. No network has learned coarser ones: their cells count as this wide. */
const COARSEST = 255;

/** What the network reads of a tile of rows x columns blocks. */
export interface RestorerInputs {
  rows: number;
  columns: number;
  /** (rows, columns, 192) */
  blocks: Float32Array;
  /** (rows, columns, 384) */
  windows: Float32Array;
  /** (rows, columns, 2) */
  places: Float32Array;
  /** (3, 64) */
  steps: Float32Array;
  /** (3,) */
  flags: Float32Array;
}

/** The network: corrections (rows, columns, 192). */
export type Correct = (inputs: RestorerInputs) => Promise<Float32Array>;

/** Luma, Cb and Cr, or one plane alone. */
interface Group {
  planes: JpegPlane[];
  /** How many rows and columns of luma share one value of chroma. */
  down: number;
  across: number;
}

/** Planes of a tile: pixels of luma's size. */
interface Region {
  rows: Span;
  columns: Span;
}

/** The groups of a file's planes. ImageError for CMYK, and for a subsampling that the restorer does not know. */
export function groupsOf(file: JpegFile): Group[] {
  const { planes } = file;
  if (planes.length !== 1 && planes.length !== 3) {
    throw new ImageError(`the JPEG file has ${planes.length} colour planes, and the restorer knows grey, YCbCr and RGB`);
  }
  const alone = (plane: JpegPlane) => ({ planes: [cut(plane, file)], down: 1, across: 1 });
  if (planes.length === 1) return [alone(planes[0]!)];
  const equal = planes.every((plane) => plane.vertical === planes[0]!.vertical && plane.horizontal === planes[0]!.horizontal);
  if (isRgb(file) && equal) return planes.map(alone);
  const [luma, ...chroma] = planes as [JpegPlane, JpegPlane, JpegPlane];
  const [down, across] = [luma.vertical / chroma[0]!.vertical, luma.horizontal / chroma[0]!.horizontal];
  const known = [down, across].every((factor) => [1, 2, 4].includes(factor))
    && chroma.every((plane) => luma.vertical / plane.vertical === down && luma.horizontal / plane.horizontal === across);
  if (!known || isRgb(file)) {
    throw new ImageError("the JPEG file's sampling factors are unusual: the restorer knows luma at full size with chroma "
      + "at 1/1, 1/2 or 1/4 of it; encode it again as 4:2:0");
  }
  return [{ planes, down, across }];
}

/** Whether the planes are red, green and blue, judged as libjpeg does. */
function isRgb({ records, planes }: JpegFile): boolean {
  const begins = (payload: Uint8Array, word: string) => [...word].every((char, i) => payload[i] === char.charCodeAt(0));
  if (records.some(({ marker, payload }) => marker === 0xe0 && begins(payload, "JFIF\0"))) return false;
  const adobe = records.find(({ marker, payload }) => marker === 0xee && begins(payload, "Adobe") && payload.length >= 12);
  if (adobe) return adobe.payload[11] === 0;
  return planes.map(({ identifier }) => String.fromCharCode(identifier)).join("") === "RGB";
}

/** A plane's own blocks: units of one component are single blocks. */
function cut(plane: JpegPlane, { width, height }: JpegFile): JpegPlane {
  const [rows, columns] = [Math.ceil(height / SIDE), Math.ceil(width / SIDE)];
  const coefficients = new Int16Array(AREA * rows * columns);
  for (let row = 0; row < rows; row++) {
    const from = AREA * row * plane.columns;
    coefficients.set(plane.coefficients.subarray(from, from + AREA * columns), AREA * row * columns);
  }
  return { ...plane, rows, columns, coefficients };
}

/** R, G, B, A pixels of a file. Strength 0 shows what is stored, 1 the network's answer. `reach` is the graph's, in blocks. */
export async function restoreJpeg(
  file: JpegFile, correct: Correct, reach: number, strength: number, progress: (share: number) => void,
): Promise<Uint8ClampedArray<ArrayBuffer>> {
  if (!(strength >= 0 && strength <= 1)) throw new ImageError(`strength must be 0 to 1, not ${strength}`);
  const groups = groupsOf(file);
  const restored: { plane: Float32Array; wide: number }[] = [];
  for (const [number, group] of groups.entries()) {
    const planes = await restorePlanes(group, correct, reach, strength, (share) => progress((number + share) / groups.length));
    restored.push(...planes.map((plane) => ({ plane, wide: SIDE * group.planes[0]!.columns })));
  }
  return pixelsOf(file, restored, groups.length === 1);
}

function pixelsOf(
  { width, height }: JpegFile, planes: { plane: Float32Array; wide: number }[], isYcc: boolean,
): Uint8ClampedArray<ArrayBuffer> {
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let [a, b, c] = [0, 1, 2].map((i) => (planes[i] ? planes[i]!.plane[y * planes[i]!.wide + x]! : 0)) as [number, number, number];
      const to = 4 * (y * width + x);
      const grey = planes.length === 1;
      if (isYcc) [a, b, c] = [inRange(a), inRange(b), inRange(c)];
      rgba[to] = (grey ? a : isYcc ? a + 1.402 * c : a) + 128; // it rounds to the nearest, halves to the even, and clips
      rgba[to + 1] = (grey ? a : isYcc ? a - 0.344136 * b - 0.714136 * c : b) + 128;
      rgba[to + 2] = (grey ? a : isYcc ? a + 1.772 * b : c) + 128;
      rgba[to + 3] = 255;
    }
  }
  return rgba;
}

/** Restored planes at luma's resolution, level shift removed. */
export async function restorePlanes(
  group: Group, correct: Correct, reach: number, strength: number, progress: (share: number) => void,
): Promise<Float32Array[]> {
  const { rows, columns } = group.planes[0]!;
  const wide = SIDE * columns;
  const result = group.planes.map(() => new Float32Array(AREA * rows * columns));
  const parts = tiles(rows, columns, TILE, Math.ceil(reach / ROUNDED) * ROUNDED);
  for (const [number, part] of parts.entries()) {
    const region = await restoreRegion(group, part, correct, strength);
    const across = SIDE * (part.columns.high - part.columns.low);
    const [left, right] = [SIDE * (part.columns.start - part.columns.low), SIDE * (part.columns.stop - part.columns.low)];
    for (const [plane, pixels] of region.entries()) {
      for (let y = SIDE * part.rows.start; y < SIDE * part.rows.stop; y++) {
        const from = (y - SIDE * part.rows.low) * across;
        result[plane]!.set(pixels.subarray(from + left, from + right), y * wide + SIDE * part.columns.start);
      }
    }
    progress((number + 1) / parts.length);
  }
  return result;
}

async function restoreRegion({ planes, down, across }: Group, part: Region, correct: Correct, strength: number): Promise<Float32Array[]> {
  const [rows, columns] = [part.rows.high - part.rows.low, part.columns.high - part.columns.low];
  const sizes = planes.map((_, i) => (i ? { rows: rows / down, columns: columns / across } : { rows, columns }));
  const stored = planes.map((plane, i) => {
    const [top, left] = i ? [part.rows.low / down, part.columns.low / across] : [part.rows.low, part.columns.low];
    return dequantised(plane, top, left, sizes[i]!.rows, sizes[i]!.columns);
  });
  const start = stored.map((blocks, i) => {
    const pixels = inverseDct(blocks, sizes[i]!.rows, sizes[i]!.columns);
    return i ? enlarge(pixels, SIDE * sizes[i]!.rows, SIDE * sizes[i]!.columns, down, across) : pixels;
  });
  const corrections = await correct(inputsOf(planes, stored[0]!, start, { rows, columns, down, across }));
  const limits = planes.map((plane) => boundedSteps(plane).map((step) => step / 2 - Math.min(step / 8, MARGIN)));
  const own = (plane: number) => {
    const found = new Float32Array(rows * columns * AREA);
    for (let block = 0; block < rows * columns; block++) {
      const from = (block * PLANES + plane) * AREA;
      found.set(corrections.subarray(from, from + AREA), block * AREA);
    }
    return found;
  };
  const luma = own(0);
  for (let i = 0; i < luma.length; i++) luma[i] = stored[0]![i]! + strength * clip(luma[i]!, limits[0]![i % AREA]!);
  const result = [inverseDct(luma, rows, columns)];
  for (let i = 1; i < planes.length; i++) {
    const answer = inverseDct(own(i), rows, columns);
    for (let k = 0; k < answer.length; k++) answer[k]! += start[i]![k]!;
    const bounds = { stored: stored[i]!, limits: limits[i]!, rows: sizes[i]!.rows, columns: sizes[i]!.columns, down, across };
    if (strength !== 1) {
      const first = start[i]!.slice();
      intoCell(first, bounds);
      intoCell(answer, bounds);
      for (let k = 0; k < answer.length; k++) answer[k] = first[k]! + strength * (answer[k]! - first[k]!);
    }
    intoCell(answer, bounds);
    result.push(answer);
  }
  return result;
}

/** Clips a sample as decoders do before they make RGB: an overshoot of one plane would change the colour. */
function inRange(value: number): number {
  return Math.min(Math.max(value, -128), 127.5);
}

function boundedSteps({ steps }: JpegPlane): Float32Array {
  return steps.map((step) => Math.min(step, COARSEST));
}

function clip(value: number, limit: number): number {
  return Math.min(Math.max(value, -limit), limit);
}

function dequantised({ coefficients, columns: all, steps }: JpegPlane, top: number, left: number, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns * AREA);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns * AREA; i++) {
      out[row * columns * AREA + i] = clip(coefficients[((top + row) * all + left) * AREA + i]! * steps[i % AREA]!, LARGEST);
    }
  }
  return out;
}

function inputsOf(
  planes: JpegPlane[], luma: Float32Array, start: Float32Array[],
  { rows, columns, down, across }: { rows: number; columns: number; down: number; across: number },
): RestorerInputs {
  const count = rows * columns;
  const blocks = new Float32Array(count * PLANES * AREA);
  const windows = new Float32Array(count * WINDOWS);
  const steps = new Float32Array(PLANES * AREA).fill(1);
  start.forEach((plane, i) => {
    const own = i ? forwardDct(plane, rows, columns) : luma;
    for (let block = 0; block < count; block++) {
      blocks.set(own.subarray(block * AREA, block * AREA + AREA), (block * PLANES + i) * AREA);
    }
    windowDct(plane, rows, columns, i ? SIDE : WINDOW, windows, WINDOWS, i ? WINDOW * WINDOW + (i - 1) * AREA : 0);
    steps.set(boundedSteps(planes[i]!), i * AREA);
  });
  const places = Float32Array.from({ length: 2 * count }, (_, i) => {
    const block = i >> 1;
    return i % 2 ? ((block % columns) % across) - (across - 1) / 2 : (Math.floor(block / columns) % down) - (down - 1) / 2;
  });
  const flags = Float32Array.of(Math.log2(down), Math.log2(across), planes.length > 1 ? 1 : 0);
  return { rows, columns, blocks, windows, places, steps, flags };
}

/** Moves the means of a chroma plane into the cells of their coefficients, in place. */
function intoCell(
  plane: Float32Array,
  { stored, limits, rows, columns, down, across }: {
    stored: Float32Array; limits: Float32Array; rows: number; columns: number; down: number; across: number;
  },
): void {
  const [tall, wide] = [SIDE * rows, SIDE * columns];
  const means = new Float32Array(tall * wide);
  for (let y = 0; y < tall * down; y++) {
    for (let x = 0; x < wide * across; x++) {
      means[Math.floor(y / down) * wide + Math.floor(x / across)]! += plane[y * wide * across + x]! / (down * across);
    }
  }
  const off = forwardDct(means, rows, columns);
  for (let i = 0; i < off.length; i++) {
    const distance = off[i]! - stored[i]!;
    off[i] = clip(distance, limits[i % AREA]!) - distance;
  }
  const moved = inverseDct(off, rows, columns);
  for (let y = 0; y < tall * down; y++) {
    for (let x = 0; x < wide * across; x++) {
      plane[y * wide * across + x]! += moved[Math.floor(y / down) * wide + Math.floor(x / across)]!;
    }
  }
}
