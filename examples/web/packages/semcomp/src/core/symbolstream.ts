// Symbols to bytes and back: the stream of FORMAT.md. Elements are grouped by table and keep their order inside a group;
// what lies beyond a table's bound is spelled out behind the elements of its latent.
import { AnsCoder } from "./ans.ts";
import { type Bytes, crc32 } from "./bytes.ts";
import { FormatError } from "./errors.ts";
import { MAX_VALUE, TOTAL, type Tables, binaryDigits } from "./tables.ts";

const MAX_DIGITS = 16;
const MAX_BITS = 12;
const BIT = TOTAL >> 1;
/** Frequency of each category of DIGITS: 2^23, 2^22, ..., 2^10, 2^9, 2^9. */
const DIGITS = Array.from({ length: MAX_DIGITS }, (_, k) => TOTAL >> Math.min(k + 1, MAX_DIGITS - 1));
const DIGITS_BELOW = DIGITS.map((_, k) => DIGITS.slice(0, k).reduce((sum, f) => sum + f, 0));

/** One latent: its symbols, and the table number of each, below 0 where nothing is coded. */
export interface Latent {
  symbols: Int16Array;
  index: Int8Array | Int16Array;
  tables: Tables;
}

/** The coded positions sorted by table, and where each table's group begins (T + 1). */
function group(index: Int8Array | Int16Array, tables: Tables): { order: Int32Array; starts: Int32Array } {
  const starts = new Int32Array(tables.length + 1);
  for (let i = 0; i < index.length; i++) if (index[i]! >= 0) starts[index[i]! + 1]!++;
  for (let t = 0; t < tables.length; t++) starts[t + 1]! += starts[t]!;
  const order = new Int32Array(starts[tables.length]!);
  const next = starts.slice();
  for (let i = 0; i < index.length; i++) if (index[i]! >= 0) order[next[index[i]!]!++] = i;
  return { order, starts };
}

/** The stream of latents, in the order in which they are to be read. */
export function encodeSymbols(latents: readonly Latent[]): Bytes {
  const coder = new AnsCoder();
  for (const latent of [...latents].reverse()) pushLatent(coder, latent);
  return coder.finish();
}

function pushLatent(coder: AnsCoder, { symbols, index, tables }: Latent): void {
  const { order, starts } = group(index, tables);
  const { bounds, offsets, frequency, lower } = tables;
  const escapes: { excess: number; negative: boolean }[] = [];
  for (let t = 0; t < tables.length; t++) {
    for (let i = starts[t]!; i < starts[t + 1]!; i++) {
      const value = symbols[order[i]!]!;
      const excess = Math.abs(value) - bounds[t]!;
      if (excess > 0) escapes.push({ excess, negative: value < 0 });
    }
  }
  pushEscapes(coder, escapes);
  for (let t = tables.length - 1; t >= 0; t--) {
    for (let i = starts[t + 1]! - 1; i >= starts[t]!; i--) {
      const value = symbols[order[i]!]!;
      const bound = bounds[t]!;
      const category = offsets[t]! + (Math.abs(value) > bound ? 2 * bound + 1 : value + bound);
      coder.push(frequency[category]!, lower[category]!);
    }
  }
}

function pushEscapes(coder: AnsCoder, escapes: readonly { excess: number; negative: boolean }[]): void {
  for (let i = escapes.length - 1; i >= 0; i--) {
    const { excess, negative } = escapes[i]!;
    coder.push(BIT, negative ? BIT : 0);
    for (let place = 0; place < binaryDigits(excess) - 1; place++) coder.push(BIT, (excess >> place) & 1 ? BIT : 0);
  }
  for (let i = escapes.length - 1; i >= 0; i--) {
    const category = binaryDigits(escapes[i]!.excess) - 1;
    coder.push(DIGITS[category]!, DIGITS_BELOW[category]!);
  }
}

/** Reads the latents of a stream one after the other, so that one may decide the tables of the next. */
export class SymbolReader {
  private readonly coder: AnsCoder;

  constructor(data: Uint8Array) {
    if (data.length && !data[data.length - 1]) {
      throw new FormatError("the symbol stream ends in a zero byte, which no encoder writes; copy the file again");
    }
    this.coder = new AnsCoder(data);
  }

  /** The symbols of the next latent; 0 where nothing is coded. */
  read(index: Int8Array | Int16Array, tables: Tables): Int16Array<ArrayBuffer> {
    const { order, starts } = group(index, tables);
    const { bounds, offsets, frequency, lower } = tables;
    const symbols = new Int16Array(index.length);
    const escaped: { at: number; bound: number }[] = [];
    const coder = this.coder;
    for (let t = 0; t < tables.length; t++) {
      const bound = bounds[t]!;
      for (let i = starts[t]!; i < starts[t + 1]!; i++) {
        const quantile = coder.peek();
        const at = tables.find(t, quantile);
        coder.pop(frequency[at]!, lower[at]!, quantile);
        const value = at - offsets[t]! - bound;
        if (value > bound) escaped.push({ at: order[i]!, bound });
        else symbols[order[i]!] = value;
      }
    }
    this.readEscapes(symbols, escaped);
    return symbols;
  }

  /** The next numbers, of `widths` bits each, all equally likely; 0 where the width is. */
  readBits(widths: Int8Array): Int32Array {
    const values = new Int32Array(widths.length);
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      const frequency = TOTAL >> bits;
      for (let i = 0; i < widths.length; i++) {
        if (widths[i] !== bits) continue;
        const quantile = this.coder.peek();
        values[i] = quantile >>> (24 - bits);
        this.coder.pop(frequency, values[i]! * frequency, quantile);
      }
    }
    return values;
  }

  /** FormatError unless the stream has been used up: every reader calls it after the last latent. */
  finish(): void {
    if (!this.coder.isEmpty) {
      throw new FormatError("coded words are left over after the last symbol; copy the file again");
    }
  }

  private readEscapes(symbols: Int16Array, escaped: readonly { at: number; bound: number }[]): void {
    const digits = escaped.map(() => this.digits());
    escaped.forEach(({ at, bound }, i) => {
      let excess = 1;
      for (let place = 1; place < digits[i]!; place++) excess = 2 * excess + this.bit();
      const negative = this.bit();
      const magnitude = bound + excess;
      if (magnitude > MAX_VALUE) {
        throw new FormatError(
          `an escape spells a symbol of magnitude ${magnitude}, at most ${MAX_VALUE} is allowed; copy the file again`,
        );
      }
      symbols[at] = negative ? -magnitude : magnitude;
    });
  }

  private digits(): number {
    const quantile = this.coder.peek();
    let category = 0;
    while (quantile >= DIGITS_BELOW[category]! + DIGITS[category]!) category++;
    this.coder.pop(DIGITS[category]!, DIGITS_BELOW[category]!, quantile);
    return category + 1;
  }

  private bit(): number {
    const quantile = this.coder.peek();
    const bit = quantile >= BIT ? 1 : 0;
    this.coder.pop(BIT, bit * BIT, quantile);
    return bit;
  }
}

/** CRC-32 of symbols as little-endian 16 bits, continued from `crc`. */
export function symbolCrc(symbols: Int16Array, crc = 0): number {
  const bytes = new Uint8Array(2 * symbols.length);
  for (let i = 0; i < symbols.length; i++) {
    bytes[2 * i] = symbols[i]! & 0xff;
    bytes[2 * i + 1] = (symbols[i]! >> 8) & 0xff;
  }
  return crc32(bytes, crc);
}
