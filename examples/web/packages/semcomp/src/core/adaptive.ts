// Adaptive coding of label maps and bitmaps: each symbol under frequencies that follow what was coded before it.
// All is integers below 2^53: counts stay below 2^26, shares below 2^24.
import { AnsCoder } from "./ans.ts";
import type { Bytes } from "./bytes.ts";
import { FormatError } from "./errors.ts";
import { TOTAL } from "./tables.ts";

const STEP = 16;
const FINE_WEIGHT = 6 * STEP;
const FINE_LIMIT = 200 * STEP;

/** How often each of A symbols came in a coarse and in a fine context. */
export class Counts {
  readonly alphabet: number;
  private readonly room: number;
  private readonly guess: Float64Array;
  private readonly coarse: Float64Array;
  private readonly fine: Int32Array;
  private readonly expected: Float64Array;

  /** `guess`: weights of the symbols in every coarse context; `fine`: the number of fine contexts. */
  constructor(guess: readonly (readonly number[])[], fine: number) {
    this.alphabet = guess[0]!.length;
    this.room = TOTAL - this.alphabet;
    this.guess = Float64Array.from(
      guess.flatMap((row) => {
        const sum = row.reduce((a, b) => a + b, 0);
        return row.map((weight) => Math.floor((this.room * weight) / sum));
      }),
    );
    this.coarse = new Float64Array(this.guess.length);
    this.fine = new Int32Array(fine * this.alphabet);
    this.expected = new Float64Array(this.alphabet);
  }

  /** The frequencies of one symbol into `out` (A): they add up to 2^24. */
  frequencies(coarse: number, fine: number, out: Float64Array): void {
    const { alphabet, room, expected } = this;
    const atCoarse = coarse * alphabet;
    const atFine = fine * alphabet;
    const weight = STEP * alphabet;
    let totalCoarse = weight;
    let totalFine = FINE_WEIGHT;
    for (let k = 0; k < alphabet; k++) {
      totalCoarse += this.coarse[atCoarse + k]!;
      totalFine += this.fine[atFine + k]!;
    }
    let sum = 0;
    for (let k = 0; k < alphabet; k++) {
      const share = this.coarse[atCoarse + k]! * room + this.guess[atCoarse + k]! * weight;
      expected[k] = Math.floor(share / totalCoarse);
      const mixed = this.fine[atFine + k]! * room + expected[k]! * FINE_WEIGHT;
      out[k] = Math.floor(mixed / totalFine) + 1;
      sum += out[k]!;
    }
    out[0]! += TOTAL - sum;
  }

  /** Count the symbols of a wavefront; a fine context beyond 200 of them is halved, once. */
  add(coarse: readonly number[], fine: readonly number[], symbols: readonly number[]): void {
    const { alphabet } = this;
    symbols.forEach((symbol, i) => {
      this.coarse[coarse[i]! * alphabet + symbol]! += STEP;
      this.fine[fine[i]! * alphabet + symbol]! += STEP;
    });
    for (const context of new Set(fine)) {
      const counts = this.fine.subarray(context * alphabet, (context + 1) * alphabet);
      if (counts.reduce((a, b) => a + b, 0) <= FINE_LIMIT) continue;
      for (let k = 0; k < alphabet; k++) counts[k]! >>= 1;
    }
  }
}

/** Collects symbols in the order in which a reader wants them. */
export class Writer {
  private readonly own: number[] = [];
  private readonly lower: number[] = [];

  code(frequencies: Float64Array, symbol: number): void {
    let lower = 0;
    for (let k = 0; k < symbol; k++) lower += frequencies[k]!;
    this.own.push(frequencies[symbol]!);
    this.lower.push(lower);
  }

  finish(): Bytes {
    const coder = new AnsCoder();
    for (let i = this.own.length - 1; i >= 0; i--) coder.push(this.own[i]!, this.lower[i]!);
    return coder.finish();
  }
}

/** Gives back what a Writer took, for the same frequencies. */
export class Reader {
  private readonly coder: AnsCoder;

  constructor(data: Uint8Array) {
    if (data.length && !data[data.length - 1]) {
      throw new FormatError("the coded words end in a zero byte, which no encoder writes; copy the file again");
    }
    this.coder = new AnsCoder(data);
  }

  code(frequencies: Float64Array): number {
    const quantile = this.coder.peek();
    let symbol = 0;
    let lower = 0;
    while (quantile >= lower + frequencies[symbol]!) lower += frequencies[symbol++]!;
    this.coder.pop(frequencies[symbol]!, lower, quantile);
    return symbol;
  }

  finish(): void {
    if (!this.coder.isEmpty) {
      throw new FormatError("coded words are left over after the last symbol; copy the file again");
    }
  }
}
