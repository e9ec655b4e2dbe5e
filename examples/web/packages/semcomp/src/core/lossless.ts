// Exact pixels: the chunk LOSSLESS of a file, decoded level by level. FORMAT_LOSSLESS.md is what this does.
import { COPY_AGAIN, Cursor, crc32, hex } from "./bytes.ts";
import { FormatError, ModelError } from "./errors.ts";
import { Features, type Level, type Place, Plate } from "./losslessfeatures.ts";
import { KINDS, OFFSETS, PASSES, type Pass, type Windows, levelSizes, windowsOf } from "./losslessgeometry.ts";
import { AdaptiveBank, type LosslessModel, type Networks } from "./losslesstables.ts";
import { MAX_VALUE } from "./tables.ts";
import { SymbolReader } from "./symbolstream.ts";

const GREY = 0;
const GREEN = 2;
const YCOCG = 3;
const DRAWN = 16;
const DRAWN_GREY = 17;
const DEPTH_REPEATED = 9;
const REPEATED = 257;
const MARKS = 3;
const SCALES = 64;
const PHASES = 8;
/** Symbols of 16 bits at this scale and above have low bits that are stored as they are. */
const WIDEST = 48;
const COARSER = [0, 10, 14, 17, 19, 21, 22, 23, 25];
const MEAN_LIMIT = 4096;
const OUTPUT_LIMIT = 8191;
const CELLS_AT_ONCE = 1 << 13;
const MAX_SIDE = 1 << 20;

export interface LosslessHead {
  form: number;
  near: number;
  /** Of the coded values, 8 or 16. */
  bits: number;
  /** A sample is a coded value times this. 257: samples of 16 bits from values of 8. */
  factor: number;
  width: number;
  height: number;
  modelId: string;
  crc: number;
  first: number[];
  /** CRC-32 of levels 1, 2, 3, as far as they exist. */
  marks: number[];
  /** Where the symbols begin. */
  body: number;
}

export interface ExactPixels {
  width: number;
  height: number;
  /** 1 or 3 */
  channels: number;
  bits: number;
  /** Row by row, the channels of a pixel side by side. */
  samples: Uint8Array | Uint16Array;
}

/** Unpacks a WebP file without loss, R, G, B of every pixel; a browser does it, node does not. */
export type Draw = (bitstream: Uint8Array, width: number, height: number) => Promise<Uint8Array>;

/** The header of the chunk. FormatError where a field is missing or out of its range. */
export function readLosslessHead(data: Uint8Array): LosslessHead {
  const cursor = new Cursor(data, "the exact pixels");
  cursor.version(1);
  const [form, near, depth] = [cursor.u8("the form"), cursor.u8("the error"), cursor.u8("the depth")];
  const width = cursor.varint();
  const height = cursor.varint();
  const modelId = hex(cursor.take(8, "the model id"));
  const crc = cursor.u32("the checksum");
  const drawn = form === DRAWN || form === DRAWN_GREY;
  const deep = !near && ((depth >= 16 && depth < 32 && !drawn) || depth === DEPTH_REPEATED);
  const fine = (form <= YCOCG || drawn) && near < COARSER.length && (!near || form === GREY || form === GREEN);
  if (!fine || !(depth === 8 || deep) || !(width >= 1 && height >= 1 && width <= MAX_SIDE && height <= MAX_SIDE)) {
    throw new FormatError(`the header of the exact pixels is not valid; ${COPY_AGAIN}`);
  }
  const first: number[] = [];
  const marks: number[] = [];
  if (!drawn) {
    for (let channel = 0; channel < (form === GREY ? 1 : 3); channel++) first.push(unzigzag(cursor.varint()));
    const levels = Math.min(MARKS, 32 - Math.clz32(Math.max(width, height) - 1));
    for (let level = 0; level < (Math.max(width, height) > 1 ? levels : 0); level++) {
      cursor.varint();
      marks.push(cursor.u32("a checksum"));
    }
  }
  const bits = depth < 16 ? 8 : 16;
  const factor = depth === 8 ? 1 : depth === DEPTH_REPEATED ? REPEATED : 2 ** (depth - 16);
  return { form, near, bits, factor, width, height, modelId, crc, first, marks, body: cursor.offset };
}

function unzigzag(value: number): number {
  return value % 2 ? -(value + 1) / 2 : value / 2;
}

/** The pixels of a chunk. FormatError where they do not match their checksum, ModelError where others are needed. */
export async function decodeLossless(
  data: Uint8Array, model: LosslessModel, modelId: string, networks: Networks, draw: Draw, progress: (share: number) => void,
): Promise<ExactPixels> {
  const head = readLosslessHead(data);
  const { form, width, height, factor } = head;
  const bits = sampleBits(head);
  let pixels: ExactPixels;
  if (form >= DRAWN) {
    const rgb = await draw(data.subarray(head.body), width, height);
    const samples = form === DRAWN ? rgb : Uint8Array.from({ length: width * height }, (_, i) => rgb[3 * i]!);
    const scaled = bits === 8 ? samples : Uint16Array.from(samples, (value) => value * factor);
    pixels = { width, height, channels: form === DRAWN ? 3 : 1, bits, samples: scaled };
  } else {
    if (head.modelId !== modelId) {
      throw new ModelError(`the exact pixels need the lossless networks ${head.modelId}, this page has ${modelId}`);
    }
    const walk = new Walk(head, model, networks, data.subarray(head.body));
    const planes = await walk.run(progress);
    pixels = { width, height, channels: planes.length, bits, samples: joined(planes, head) };
  }
  if (crc32(bytesOf(pixels.samples)) !== head.crc) {
    throw new FormatError(`the exact pixels do not match their checksum; ${COPY_AGAIN}`);
  }
  return pixels;
}

function sampleBits({ bits, factor }: LosslessHead): number {
  return factor === REPEATED ? 16 : bits;
}

function bytesOf(samples: Uint8Array | Uint16Array): Uint8Array {
  if (samples instanceof Uint8Array) return samples;
  const bytes = new Uint8Array(2 * samples.length);
  samples.forEach((value, i) => {
    bytes[2 * i] = value & 255;
    bytes[2 * i + 1] = value >> 8;
  });
  return bytes;
}

/** Samples of decoded planes: the colour transform undone. */
function joined(planes: readonly Int32Array[], head: LosslessHead): Uint8Array | Uint16Array {
  const { form, bits, factor, width, height } = head;
  const count = width * height;
  const channels = planes.length;
  const samples = new (sampleBits(head) === 8 ? Uint8Array : Uint16Array)(channels * count);
  const most = 2 ** bits - 1;
  for (let i = 0; i < count; i++) {
    const [luma, first, second] = planes.map((plane) => plane[i]!);
    let colours = [luma!];
    if (form === YCOCG) {
      const middle = luma! - (second! >> 1);
      const blue = middle - (first! >> 1);
      colours = [blue + first!, second! + middle, blue];
    } else if (form === GREEN) colours = [first! + luma!, luma!, second! + luma!];
    else if (form !== GREY) colours = [first!, luma!, second!];
    for (let channel = 0; channel < channels; channel++) {
      const value = colours[channel]!;
      if (value < 0 || value > most) throw new FormatError(`a decoded value does not fit into a pixel; ${COPY_AGAIN}`);
      samples[channels * i + channel] = value * factor;
    }
  }
  return samples;
}

/** One image on its way, from one pixel to all of them. */
class Walk {
  private readonly banks: AdaptiveBank[];
  private readonly windows: Record<Pass, Windows>;
  private readonly reader: SymbolReader;
  private readonly outliers: number[] = [];
  private readonly differences: boolean;
  private readonly most: number;

  constructor(
    private readonly head: LosslessHead, model: LosslessModel, private readonly networks: Networks, data: Uint8Array,
  ) {
    this.banks = model.banks.map((prior) => new AdaptiveBank(prior));
    this.windows = Object.fromEntries(PASSES.map((pass) => [pass, windowsOf(pass, model.windows)])) as Record<Pass, Windows>;
    this.differences = head.form !== GREY && head.form !== YCOCG;
    this.most = 2 ** head.bits - 1;
    const cursor = new Cursor(data, "the exact pixels");
    if (head.bits > 8) {
      const count = cursor.varint();
      if (count > data.length) throw new FormatError(`${count} outliers do not fit into the file; ${COPY_AGAIN}`);
      for (let i = 0; i < count; i++) this.outliers.push(unzigzag(cursor.varint()));
    }
    this.reader = new SymbolReader(stackOf(data.subarray(cursor.offset)));
  }

  async run(progress: (share: number) => void): Promise<Int32Array[]> {
    const { width, height, first } = this.head;
    const sizes = levelSizes(height, width);
    let planes: Int32Array[] = KINDS.map((_, channel) => Int32Array.of(first[channel] ?? 0));
    let errors: Int32Array[] = KINDS.map(() => new Int32Array(1));
    for (let level = sizes.length - 2; level >= 0; level--) {
      ({ planes, errors } = await this.level(level, sizes, planes, errors));
      this.check(level, sizes[level]!, planes);
      progress(1 / 4 ** level);
    }
    if (this.outliers.length) throw new FormatError(`outliers are left over after the last symbol; ${COPY_AGAIN}`);
    this.reader.finish();
    return planes.slice(0, first.length);
  }

  /** Refuses a level that is not what the header says before a finer one takes time and memory. */
  private check(level: number, [height, width]: [number, number], planes: readonly Int32Array[]): void {
    const mark = level && this.head.marks[level - 1];
    if (!mark) return;
    const head = { ...this.head, height, width };
    if (crc32(bytesOf(joined(planes.slice(0, head.first.length), head))) !== mark) {
      throw new FormatError(`1/${2 ** level} of the size is not what the header says; ${COPY_AGAIN}`);
    }
  }

  /** Planes and errors of a level, from the next coarser level's. */
  private async level(
    number: number, sizes: readonly [number, number][], coarse: readonly Int32Array[], errors: readonly Int32Array[],
  ): Promise<{ planes: Int32Array[]; errors: Int32Array[] }> {
    const [height, width] = sizes[number]!;
    const [rows, columns] = sizes[number + 1]!;
    const level: Level = new Map();
    const fine = KINDS.map(() => new Int32Array(height * width));
    const fineErrors = KINDS.map(() => new Int32Array(height * width));
    const enter = (lattice: keyof typeof OFFSETS, values: readonly Int32Array[], off: readonly Int32Array[]) => {
      const [down, right] = OFFSETS[lattice];
      KINDS.forEach((_, channel) => {
        for (let row = 0; 2 * row + down < height; row++) {
          for (let column = 0; 2 * column + right < width; column++) {
            const to = (2 * row + down) * width + 2 * column + right;
            fine[channel]![to] = values[channel]![row * columns + column]!;
            fineErrors[channel]![to] = off[channel]![row * columns + column]!;
          }
        }
      });
    };
    const known = new Plate(rows, columns);
    coarse.forEach((plane) => known.addPlane(plane));
    known.addErrors(errors);
    level.set("00", known);
    enter("00", coarse, errors);
    for (const target of PASSES) {
      const [down, right] = OFFSETS[target];
      const plate = new Plate(rows, columns);
      level.set(target, plate);
      const values = coarse.map((plane) => plane.slice());
      const off = KINDS.map(() => new Int32Array(rows * columns));
      const there = { rows: Math.floor((height + 1 - down) / 2), columns, existing: Math.floor((width + 1 - right) / 2) };
      if (there.rows && there.existing) await this.pass(level, target, number, there, values, off);
      for (let channel = plate.planes.length; channel < KINDS.length; channel++) plate.addPlane(values[channel]!);
      plate.addErrors(off);
      enter(target, values, off);
    }
    return { planes: fine, errors: fineErrors };
  }

  private async pass(
    level: Level, target: Pass, number: number, there: There, values: Int32Array[], off: Int32Array[],
  ): Promise<void> {
    const place: Place = { level: number, differences: this.differences, bits: this.head.bits };
    const features = new Features(level, this.windows[target], target, place);
    const errors: Int32Array[] = [];
    const band = Math.max(1, Math.floor(CELLS_AT_ONCE / there.columns));
    for (let channel = 0; channel < this.head.first.length; channel++) {
      const before = { values: values.slice(0, channel), errors };
      const mean = new Int32Array(there.rows * there.columns);
      const table = new Int32Array(there.rows * there.columns);
      for (let start = 0; start < there.rows; start += band) {
        const stop = Math.min(start + band, there.rows);
        const step = features.step(channel, before, start, stop);
        const cells = step.k.length;
        const outputs = await this.networks.run(KINDS[channel] + target, step.features, cells);
        for (let cell = 0; cell < cells; cell++) {
          const at = start * there.columns + cell;
          this.predict(outputs[cell]!, outputs[cells + cell]!, step.initial[cell]!, step.k[cell]!, mean, table, at);
        }
      }
      errors.push(this.code(channel, mean, table, there, values));
      level.get(target)!.addPlane(values[channel]!);
      errors[channel]!.forEach((error, i) => (off[channel]![i] = Math.min(Math.max(error, -this.most), this.most)));
    }
  }

  /** The integer mean and the table of one pixel. */
  private predict(
    output: number, scale: number, initial: number, k: number, mean: Int32Array, table: Int32Array, at: number,
  ): void {
    const more = this.head.bits - 8;
    const limit = MEAN_LIMIT * 2 ** more;
    const eighths = ((Math.min(Math.max(output, -OUTPUT_LIMIT), OUTPUT_LIMIT) << k) + 4) >> 3;
    const moved = Math.min(Math.max(eighths, -limit), limit) + 4;
    const last = SCALES - 1 + 6 * more;
    const number = Math.min(Math.max((scale + 4 * (6 * k + 12) + 2) >> 2, 0), last);
    mean[at] = initial + (moved >> 3);
    table[at] = number * PHASES + (moved & 7);
  }

  /** Reads one step, enters its pixels into `values`, and returns their errors, 0 where no pixel exists. */
  private code(channel: number, mean: Int32Array, table: Int32Array, there: There, values: Int32Array[]): Int32Array {
    const { near } = this.head;
    const count = there.rows * there.existing;
    const index = new Int16Array(count);
    const widths = new Int8Array(count);
    const places = new Int32Array(count);
    for (let row = 0, i = 0; row < there.rows; row++) {
      for (let column = 0; column < there.existing; column++, i++) {
        places[i] = row * there.columns + column;
        let number = table[places[i]!]!;
        if (near) number = coarser(number, near);
        if (this.head.bits > 8) [number, widths[i]] = withoutLowBits(number);
        index[i] = number;
      }
    }
    const bank = this.banks[channel]!;
    const symbols = this.reader.read(index, bank.tables);
    bank.count(index, symbols);
    const wide = Int32Array.from(symbols, (value) => (Math.abs(value) >= MAX_VALUE ? this.outlier(value) : value));
    const low = this.head.bits > 8 ? this.reader.readBits(widths) : null;
    const errors = new Int32Array(there.rows * there.columns);
    for (let i = 0; i < count; i++) {
      const at = places[i]!;
      const green = near && channel ? values[0]![at]! : 0;
      const symbol = low ? wide[i]! * 2 ** widths[i]! + low[i]! : wide[i]!;
      let value = mean[at]! + (2 * near + 1) * symbol;
      if (near) value = Math.min(Math.max(value, -green), this.most - green);
      else if (Math.abs(value) > this.most) throw new FormatError(`a decoded value is beyond what pixels give; ${COPY_AGAIN}`);
      values[channel]![at] = value;
      errors[at] = value - mean[at]!;
    }
    return errors;
  }

  private outlier(value: number): number {
    const found = this.outliers.shift();
    if (found === undefined || value < 0 || Math.abs(found) < MAX_VALUE) {
      throw new FormatError(`an outlier among the symbols is missing or is none; ${COPY_AGAIN}`);
    }
    return found;
  }
}

/** The cells of a step: rows with pixels, all columns, and columns with pixels. */
interface There {
  rows: number;
  columns: number;
  existing: number;
}

/** Words that are stored top first, as a stack whose top comes last, without the zeros that end it. */
function stackOf(data: Uint8Array): Uint8Array {
  const count = data.length / 4;
  const bytes = new Uint8Array(data.length);
  if (!Number.isInteger(count) || (count && !(data[0]! | data[1]! | data[2]! | data[3]!))) {
    throw new FormatError(`the words of the exact pixels are cut off, or begin with 0; ${COPY_AGAIN}`);
  }
  for (let word = 0; word < count; word++) bytes.set(data.subarray(4 * word, 4 * word + 4), 4 * (count - 1 - word));
  let end = bytes.length;
  while (end && !bytes[end - 1]) end--;
  return bytes.subarray(0, end);
}

function coarser(number: number, near: number): number {
  const step = 2 * near + 1;
  const scale = Math.max((number >> 3) - COARSER[near]!, 0);
  return scale * PHASES + Math.floor((2 * ((number & 7) - PHASES / 2) + step) / (2 * step)) + PHASES / 2;
}

function withoutLowBits(number: number): [number, number] {
  const scale = number >> 3;
  const low = Math.max(Math.floor((scale - WIDEST) / 6) + 1, 0);
  return [(scale - 6 * low) * PHASES + (low ? 0 : number & 7), low];
}
