// The entropy-coded data of a JPEG scan: Huffman codes, bits, and blocks of coefficients in the order of files.
import type { JpegPlane } from "./jpeg.ts";

/** `length << 8 | symbol` by the next 16 bits; 0 where no code begins. */
export type Huffman = Uint16Array;

/** The lookup table of a code. */
export function huffmanOf(counts: Uint8Array, symbols: Uint8Array): Huffman {
  const table = new Uint16Array(1 << 16);
  let [at, number] = [0, 0];
  counts.forEach((count, i) => {
    for (let k = 0; k < count; k++, number++) {
      const width = 1 << (15 - i);
      table.fill(((i + 1) << 8) | symbols[number]!, at, at + width);
      at += width;
    }
  });
  return table;
}

/** The bits cannot be what a file holds. */
class Damaged extends Error {}

/** Bits of one restart interval, without the stuffing. */
export class BitReader {
  private readonly data: Uint8Array;
  private at = 0;

  constructor(stuffed: Uint8Array) {
    const plain = new Uint8Array(stuffed.length + 4);
    let size = 0;
    for (let i = 0; i < stuffed.length; i++) {
      plain[size++] = stuffed[i]!;
      if (stuffed[i] === 0xff && stuffed[i + 1] === 0) i++;
    }
    this.data = plain.subarray(0, size + 4); // four zeros behind
  }

  private get end(): number {
    return 8 * (this.data.length - 4);
  }

  /** Whether nothing is left. */
  get done(): boolean {
    return this.at >= this.end;
  }

  private window(): number {
    const [byte, bit] = [this.at >> 3, this.at & 7];
    const three = (this.data[byte]! << 16) | (this.data[byte + 1]! << 8) | this.data[byte + 2]!;
    return (three >> (8 - bit)) & 0xffff;
  }

  /** The next symbol of a code. */
  symbol(code: Huffman | undefined): number {
    const entry = code && this.at < this.end ? code[this.window()]! : 0;
    if (!entry) throw new Damaged();
    this.skip(entry >> 8);
    return entry & 255;
  }

  private skip(count: number): void {
    this.at += count;
    if (this.at > this.end) throw new Damaged();
  }

  /** An unsigned number of up to 16 bits. */
  bits(count: number): number {
    if (!count) return 0;
    const value = this.window() >> (16 - count);
    this.skip(count);
    return value;
  }

  /** A number as JPEG codes it: a leading 0 bit makes it negative. */
  signed(size: number): number {
    const value = this.bits(size);
    return size && value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }
}

export interface Bands {
  first: number;
  last: number;
  /** Bits of successive approximation. */
  high: number;
  low: number;
  progressive: boolean;
}

export interface ScanBlock {
  plane: JpegPlane;
  kind: number;
  dc: Huffman | undefined;
  ac: Huffman | undefined;
}

/** Reads the blocks of an interval's units into their planes; how many were read. Damage ends the interval. */
export function readBlocks(
  bits: BitReader, blocks: readonly ScanBlock[], place: (unit: number, block: number) => number, from: number, to: number,
  bands: Bands,
): number {
  const state = { before: new Int32Array(4), run: 0 };
  let read = 0;
  try {
    for (let unit = from; unit < to; unit++) {
      for (let number = 0; number < blocks.length; number++) {
        const block = blocks[number]!;
        const at = 64 * place(unit, number);
        const values = block.plane.coefficients.subarray(at, at + 64);
        if (!bands.progressive) sequential(bits, values, block, state.before);
        else if (bands.first === 0) dc(bits, values, block, state.before, bands);
        else if (bands.high) state.run = moreAc(bits, values, block.ac, bands, state.run);
        else state.run = firstAc(bits, values, block.ac, bands, state.run);
        read++;
      }
    }
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
  }
  return read;
}

function sequential(bits: BitReader, values: Int16Array, block: ScanBlock, before: Int32Array): void {
  const found = new Int16Array(64); // a block that is cut leaves nothing
  const difference = bits.signed(checked(bits.symbol(block.dc)));
  for (let k = 1; k < 64; k++) {
    const symbol = bits.symbol(block.ac);
    const [run, size] = [symbol >> 4, symbol & 15];
    if (!size && run < 15) break;
    k += run;
    if (k > 63) throw new Damaged();
    found[k] = bits.signed(size);
  }
  before[block.kind]! += difference;
  found[0] = before[block.kind]!;
  values.set(found);
}

/** Bits of a difference of DC. libjpeg refuses codes that name more. */
function checked(size: number): number {
  if (size > 15) throw new Damaged();
  return size;
}

function dc(bits: BitReader, values: Int16Array, block: ScanBlock, before: Int32Array, { high, low }: Bands): void {
  if (high) {
    values[0]! |= bits.bits(1) << low;
    return;
  }
  before[block.kind]! += bits.signed(checked(bits.symbol(block.dc)));
  values[0] = before[block.kind]! << low;
}

/** The first scan of a band; the run of blocks without coefficients that is left. */
function firstAc(bits: BitReader, values: Int16Array, code: Huffman | undefined, { first, last, low }: Bands, run: number): number {
  if (run) return run - 1;
  const found = new Int16Array(64);
  for (let k = first; k <= last; k++) {
    const symbol = bits.symbol(code);
    const [skip, size] = [symbol >> 4, symbol & 15];
    if (!size && skip < 15) {
      const blocks = (1 << skip) + bits.bits(skip);
      store(values, found);
      return blocks - 1;
    }
    k += skip;
    if (k > last) throw new Damaged();
    found[k] = bits.signed(size) << low;
  }
  store(values, found);
  return 0;
}

function store(values: Int16Array, found: Int16Array): void {
  for (let k = 1; k < 64; k++) if (found[k]) values[k] = found[k]!;
}

/** One more bit of a band; the run of blocks without new coefficients that is left. */
function moreAc(bits: BitReader, values: Int16Array, code: Huffman | undefined, { first, last, low }: Bands, run: number): number {
  const bit = 1 << low;
  let k = first;
  for (; !run && k <= last; k++) {
    const symbol = bits.symbol(code);
    let skip = symbol >> 4;
    const size = symbol & 15;
    if (size > 1) throw new Damaged();
    if (!size && skip < 15) {
      run = (1 << skip) + bits.bits(skip);
      break;
    }
    const fresh = size ? (bits.bits(1) ? bit : -bit) : 0;
    for (; k <= last; k++) {
      if (values[k]) refine(bits, values, k, bit);
      else if (skip-- === 0) break;
    }
    if (fresh && k <= last) values[k] = fresh;
  }
  if (!run) return 0;
  for (; k <= last; k++) if (values[k]) refine(bits, values, k, bit);
  return run - 1;
}

function refine(bits: BitReader, values: Int16Array, k: number, bit: number): void {
  if (bits.bits(1)) values[k]! += values[k]! > 0 ? bit : -bit;
}

/** The restart intervals of a scan. A marker out of order tells that intervals before it were lost. */
export function* intervals(
  data: Uint8Array, from: number, end: number, limit: number,
): Generator<{ number: number; start: number; stop: number }> {
  let [number, start] = [0, from];
  for (let at = data.indexOf(0xff, from); at >= 0 && at < end - 1 && number < limit; ) {
    const value = data[at + 1]!;
    if (value >= 0xd0 && value <= 0xd7) {
      yield { number, start, stop: at };
      const lost = (((value - 0xd0 - number) % 8) + 8) % 8;
      number += 1 + (lost < 4 ? lost : 0);
      start = at + 2;
    }
    at = data.indexOf(0xff, value === 0xff ? at + 1 : at + 2);
  }
  if (number < limit) yield { number, start, stop: end };
}
