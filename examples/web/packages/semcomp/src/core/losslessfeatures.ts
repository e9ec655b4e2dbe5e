// What a network sees before it predicts a pixel, FORMAT_LOSSLESS.md "Features". Numbers here are integers below 2^53,
// which JavaScript's numbers hold exactly.
import { KINDS, type Lattice, type Neighbour, type Pass, REACH, type Windows } from "./losslessgeometry.ts";

const LIMIT = 127;
const FLAG = 64;
const ACTIVITIES = 9;
const LEVEL_CLASSES = 3;
const PIXELS = 8;
const NEAR = 4;
const BOLD = 16;
const HELD = 256;
const CHANNELS = KINDS.length;
/** Pairs of planes whose errors are multiplied: (0, 0), (0, 1), (0, 2), (1, 1), (1, 2). */
const pairOf = (a: number, b: number) => (a === 0 ? b : 2 + b);
const PAIRS: readonly [number, number][] = [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2]];
const DIAGONAL: readonly [number, number][] = [[-1, -1], [1, 1], [-1, 1], [1, -1]];
const STRAIGHT: readonly [number, number][] = [[0, -1], [0, 1], [-1, 0], [1, 0]];
/** Where the pixels of the pairs are among the first four of a window. */
const ORDER: Record<Pass, readonly number[]> = { "11": [0, 3, 1, 2], "01": [0, 1, 2, 3], "10": [2, 3, 0, 1] };

/** What a step is told besides pixels. */
export interface Place {
  level: number;
  /** The planes are green and differences to green. */
  differences: boolean;
  /** 8 or 16 */
  bits: number;
}

/** A lattice of a level: planes with their edges repeated REACH times, (rows + 4) x (columns + 4). */
export class Plate {
  readonly stride: number;
  readonly planes: Int32Array[] = [];
  readonly errors: Int32Array[] = [];
  readonly products: Float64Array[] = [];
  /** Magnitudes of errors summed over 5x5 cells, >> 3; rows x columns. */
  readonly boxes: Int32Array[] = [];
  /** The fit of luma: curves and steps, their products, and the squares of the steps. */
  curve: Float64Array = new Float64Array(0);
  step: Float64Array = new Float64Array(0);

  constructor(readonly rows: number, readonly columns: number) {
    this.stride = columns + 2 * REACH;
  }

  /** Enters a plane (rows, columns). */
  addPlane(values: Int32Array): void {
    this.planes.push(this.padded(values));
  }

  /** Enters the errors of all planes, each within its limits. */
  addErrors(errors: readonly Int32Array[]): void {
    for (const plane of errors) this.errors.push(this.padded(plane));
    for (const [a, b] of PAIRS) {
      this.products.push(Float64Array.from(this.errors[a]!, (value, i) => value * this.errors[b]![i]!));
    }
    for (const plane of this.errors) this.boxes.push(this.box(plane));
  }

  /** Prepares the fit of luma for a pass. */
  fit(target: Pass): void {
    const { stride } = this;
    const tall = this.rows + 2 * REACH;
    const luma = this.planes[0]!;
    const [a, b, c, d] = (target === "11" ? DIAGONAL : STRAIGHT).map(([row, column]) => row * stride + column);
    this.curve = new Float64Array(luma.length);
    this.step = new Float64Array(luma.length);
    for (let row = 0; row < tall; row++) {
      const from = Math.min(Math.max(row, 1), tall - 2);
      for (let column = 0; column < stride; column++) {
        const at = from * stride + Math.min(Math.max(column, 1), stride - 2);
        const across = luma[at + a!]! + luma[at + b!]!;
        const along = luma[at + c!]! + luma[at + d!]!;
        this.curve[row * stride + column] = 4 * luma[at]! - across - along;
        this.step[row * stride + column] = across - along;
      }
    }
  }

  private padded(values: Int32Array): Int32Array {
    const { rows, columns, stride } = this;
    const out = new Int32Array((rows + 2 * REACH) * stride);
    for (let row = 0; row < rows + 2 * REACH; row++) {
      const from = Math.min(Math.max(row - REACH, 0), rows - 1) * columns;
      for (let column = 0; column < stride; column++) {
        out[row * stride + column] = values[from + Math.min(Math.max(column - REACH, 0), columns - 1)]!;
      }
    }
    return out;
  }

  private box(errors: Int32Array): Int32Array {
    const { rows, columns, stride } = this;
    const out = new Int32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let down = 0; down <= 2 * REACH; down++) {
          for (let right = 0; right <= 2 * REACH; right++) sum += Math.abs(errors[(row + down) * stride + column + right]!);
        }
        out[row * columns + column] = sum >> 3;
      }
    }
    return out;
  }
}

export type Level = Map<Lattice, Plate>;

/** The features of some cells, (F, cells) row by row, the traditional prediction and the activity of each. */
export interface Step {
  features: Int8Array;
  initial: Int32Array;
  k: Int32Array;
}

/** A window, ready to be read: the plate of each pixel and the distance of its place. */
interface Ready {
  plates: Plate[];
  shifts: number[];
}

/** What is known of the pixels of a lattice before a plane: values and errors of the planes before, (rows, columns). */
export interface Before {
  values: readonly Int32Array[];
  errors: readonly Int32Array[];
}

/** Writes the features of one cell after the other. */
class Column {
  private at = 0;
  /** Not scaled yet. */
  readonly raw: number[] = [];

  constructor(private readonly features: Int8Array, private readonly cells: number) {}

  /** The cell that follows has its raw features next. */
  start(): void {
    this.raw.length = 0;
  }

  finish(cell: number, k: number, fits: readonly number[], place: Place): void {
    this.at = cell;
    for (const value of this.raw) this.put(scaled(value, k));
    for (const value of fits) this.put(Math.min(Math.max(value, -LIMIT), LIMIT));
    const level = Math.min(place.level, LEVEL_CLASSES - 1);
    for (let number = 0; number < LEVEL_CLASSES; number++) this.put(number === level ? FLAG : 0);
    const known = Math.min(Math.max(k - (place.bits - 8), 0), ACTIVITIES - 1);
    for (let number = 0; number < ACTIVITIES; number++) this.put(number === known ? FLAG : 0);
    this.put(place.differences ? FLAG : 0);
  }

  private put(value: number): void {
    this.features[this.at] = value;
    this.at += this.cells;
  }
}

function scaled(value: number, k: number): number {
  return Math.min(Math.max((value << 4) >> k, -LIMIT), LIMIT);
}

function slope(shared: number, spread: number, limit: number): number {
  return Math.min(Math.max(Math.floor((64 * shared) / spread), -limit), limit);
}

function activity(size: number, bits: number): number {
  let k = 0;
  while (k < bits && size >= 8 * 2 ** k) k++;
  return k;
}

const meanOfFour = (v: readonly number[]) => (v[0]! + v[1]! + v[2]! + v[3]! + 2) >> 2;

/** Reads and computes the features of one pass. */
export class Features {
  private readonly ready: Record<"luma" | "chroma" | "own" | "others" | "errors" | "fit", Ready>;
  private readonly known: Plate[];

  constructor(level: Level, private readonly windows: Windows, private readonly target: Pass, private readonly place: Place) {
    this.known = windows.known.map((lattice) => level.get(lattice)!);
    for (const plate of this.known) plate.fit(target);
    const ready = (pixels: readonly Neighbour[]): Ready => ({
      plates: pixels.map(({ lattice }) => level.get(lattice)!),
      shifts: pixels.map(({ row, column }) => row * this.known[0]!.stride + column),
    });
    this.ready = {
      luma: ready(windows.luma), chroma: ready(windows.chroma), own: ready(windows.own), others: ready(windows.others),
      errors: ready(windows.errors), fit: ready(windows.fit),
    };
  }

  /** Number of features of a plane's network. */
  size(channel: number): number {
    const { luma, chroma, own, others, errors, known } = this.windows;
    const common = 3 * (errors.length + known.length) + 1 + 6 + [6, 6, 10][channel]! + LEVEL_CLASSES + ACTIVITIES + 1;
    if (channel === 0) return luma.length + 2 * others.length + common;
    return chroma.length + (2 - channel) * others.length + channel * (chroma.length + own.length + 2) + common;
  }

  /** The features of some rows of cells. */
  step(channel: number, before: Before, start: number, stop: number): Step {
    const { columns, stride } = this.known[0]!;
    const cells = (stop - start) * columns;
    const found = {
      features: new Int8Array(this.size(channel) * cells), initial: new Int32Array(cells), k: new Int32Array(cells),
    };
    const column = new Column(found.features, cells);
    for (let cell = 0; cell < cells; cell++) {
      const row = start + Math.floor(cell / columns);
      const flat = row * columns + (cell % columns);
      const at = (row + REACH) * stride + REACH + (cell % columns);
      column.start();
      const [initial, k, fits] = channel === 0 ? this.luma(column.raw, at, flat) : this.colour(column.raw, channel, before, at, flat);
      found.initial[cell] = initial;
      found.k[cell] = k;
      column.finish(cell, k, fits, this.place);
    }
    return found;
  }

  private gather({ plates, shifts }: Ready, channel: number, at: number): number[] {
    return shifts.map((shift, i) => plates[i]!.planes[channel]![at + shift]!);
  }

  private luma(raw: number[], at: number, flat: number): [number, number, number[]] {
    const values = this.gather(this.ready.luma, 0, at);
    const mean = meanOfFour(values);
    let size = 0;
    values.forEach((value, i) => {
      raw.push(value - mean);
      if (i < 8) size += Math.abs(value - mean);
    });
    const k = activity(size, this.place.bits);
    const means: number[] = [];
    for (const channel of [1, 2]) {
      const others = this.gather(this.ready.others, channel, at);
      means.push(meanOfFour(others));
      for (const value of others) raw.push(value - means.at(-1)!);
    }
    this.addErrors(raw, 0, at, flat);
    this.addRooms(raw, mean, means[0]!, means[1]!);
    const [moved, fits] = this.lumaFit(values, at, k);
    return [mean + moved, k, fits];
  }

  private lumaFit(values: readonly number[], at: number, k: number): [number, number[]] {
    const { plates, shifts } = this.ready.fit;
    const quiet = 256 * 4 ** (this.place.bits - 8);
    const slopes = [shifts.length, NEAR].map((count) => {
      let shared = 0;
      let spread = quiet * count;
      for (let i = 0; i < count; i++) {
        const step = plates[i]!.step[at + shifts[i]!]!;
        shared += plates[i]!.curve[at + shifts[i]!]! * step;
        spread += step * step;
      }
      return slope(shared, spread, 128);
    });
    const [first, second, third, fourth] = ORDER[this.target].map((number) => values[number]!);
    const difference = first! + second! - third! - fourth!;
    const [wide, near] = slopes.map((one) => one * difference);
    let missed = 0;
    let missedSize = 0;
    for (let i = 0; i < NEAR; i++) {
      const miss = plates[i]!.curve[at + shifts[i]!]! - ((slopes[1]! * plates[i]!.step[at + shifts[i]!]!) >> 6);
      missed += miss;
      missedSize += Math.abs(miss);
    }
    const fits = [(wide! >> 4) >> k, (near! >> 4) >> k, missed >> k, missedSize >> k, ...slopes];
    return [(wide! + 128) >> 8, fits];
  }

  private colour(raw: number[], channel: number, before: Before, at: number, flat: number): [number, number, number[]] {
    const own = this.gather(this.ready.chroma, channel, at);
    const mean = meanOfFour(own);
    own.forEach((value, i) => (own[i] = value - mean));
    const around = before.values.map((plane, number) => {
      const seen = [...this.gather(this.ready.chroma, number, at), ...this.gather(this.ready.own, number, at)];
      return seen.map((value) => value - plane[flat]!);
    });
    const total = (values: readonly number[]) => values.slice(0, 8).reduce((sum, value) => sum + Math.abs(value), 0);
    const k = activity(total(own) + (total(around[0]!) >> 3), this.place.bits);
    raw.push(...own, ...around.flat());
    const colours = [...before.values.map((plane) => plane[flat]!), mean];
    if (channel === 1) {
      const others = this.gather(this.ready.others, 2, at);
      colours.push(meanOfFour(others));
      for (const value of others) raw.push(value - colours.at(-1)!);
    }
    for (const plane of before.errors) raw.push(plane[flat]!, Math.abs(plane[flat]!));
    this.addErrors(raw, channel, at, flat);
    this.addRooms(raw, colours[0]!, colours[1]!, colours[2]!);
    const [moved, fits] = colourFit(own, around, k);
    before.errors.forEach((plane, number) => {
      const between = this.errorSlope(number, channel, at);
      fits.push(((between * plane[flat]!) >> 2) >> k, between);
    });
    return [mean + ((moved + 128) >> 8), k, fits];
  }

  /** 64 times the error that an error of 1 in an earlier plane lets expect. */
  private errorSlope(before: number, channel: number, at: number): number {
    const { plates, shifts } = this.ready.chroma;
    let shared = 0;
    let spread = shifts.length * 4 ** (this.place.bits - 8);
    shifts.forEach((shift, i) => {
      shared += plates[i]!.products[pairOf(before, channel)]![at + shift]!;
      spread += plates[i]!.products[pairOf(before, before)]![at + shift]!;
    });
    return slope(shared, spread, 256);
  }

  private addErrors(raw: number[], channel: number, at: number, flat: number): void {
    const { plates, shifts } = this.ready.errors;
    let bias = 0;
    for (let number = 0; number < CHANNELS; number++) {
      shifts.forEach((shift, i) => {
        const error = plates[i]!.errors[number]![at + shift]!;
        if (number === channel && i < 4) bias += error;
        raw.push(Math.abs(error));
      });
    }
    raw.push(bias >> 2);
    for (const plate of this.known) for (let number = 0; number < CHANNELS; number++) raw.push(plate.boxes[number]![flat]!);
  }

  private addRooms(raw: number[], luma: number, first: number, second: number): void {
    let colours = [first + luma, luma, second + luma];
    if (!this.place.differences) {
      const middle = luma - (second >> 1);
      const blue = middle - (first >> 1);
      colours = [blue + first, second + middle, blue];
    }
    const most = 2 ** this.place.bits - 1;
    raw.push(...colours, ...colours.map((value) => most - value));
  }
}

/** What the lines over the planes before add to the mean of four, times 256, and the features of the fits. */
function colourFit(own: readonly number[], around: readonly number[][], k: number): [number, number[]] {
  const near = (values: readonly number[]) => values.slice(0, PIXELS).map((value) => scaled(value, k));
  const values = near(own);
  const seen = around.map(near);
  const straight = [line(values, seen[0]!, BOLD)];
  const slopes = seen.length === 2
    ? [plane(values, seen[0]!, seen[1]!, BOLD), plane(values, seen[0]!, seen[1]!, HELD), straight]
    : [straight, [line(values, seen[0]!, HELD)]];
  const nearest = around.map((part) => part[0]! + part[1]! + part[2]! + part[3]!);
  const offsets = slopes.map((some) => -some.reduce((sum, one, i) => sum + one * nearest[i]!, 0));
  const rest = values.map((value, i) => slopes[0]!.reduce((left, one, j) => left - ((one * seen[j]![i]!) >> 6), value));
  const level = (rest[0]! + rest[1]! + rest[2]! + rest[3]!) >> 2;
  const misses = rest.reduce((sum, value) => sum + Math.abs(value - level), 0) >> 3;
  return [offsets[0]!, [...offsets.map((value) => (value >> 4) >> k), misses, ...slopes[0]!]];
}

/** Covariance times the square of the number of pixels. */
function moment(x: readonly number[], y: readonly number[]): number {
  let [products, sumX, sumY] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    products += x[i]! * y[i]!;
    sumX += x[i]!;
    sumY += y[i]!;
  }
  return x.length * products - sumX * sumY;
}

function line(values: readonly number[], over: readonly number[], held: number): number {
  return slope(moment(values, over), moment(over, over) + held * PIXELS ** 2, 256);
}

function plane(values: readonly number[], over: readonly number[], andOver: readonly number[], held: number): number[] {
  const quiet = held * PIXELS ** 2;
  const one = moment(over, over) + quiet;
  const two = moment(andOver, andOver) + quiet;
  const both = moment(over, andOver);
  const first = moment(values, over);
  const second = moment(values, andOver);
  const determinant = one * two - both * both;
  return [slope(first * two - second * both, determinant, 256), slope(second * one - first * both, determinant, 256)];
}
