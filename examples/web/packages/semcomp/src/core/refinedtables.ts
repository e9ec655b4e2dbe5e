// The table numbers of four passes, each of the last three refined by the integers of the passes before it: the twin of
// semcomp/pipeline/refined_tables.py. Every value is an integer, so it names the tables that the library names.
//
// Elements of a pass are (M, h, w) with half the rows and columns of y. What is seen has the four places of the 2x2 blocks
// apart, (M, 4, h, w).
import { FOUR, PLACES, PLACE_OF, quarter } from "./passes.ts";

const LARGEST = 1023;
const LIMIT = 127;
const LAST_TABLE = 63;
const STEP = 1024;

/** `seen` (M, 4, N), the sums of a pass (M, N) and its number to table numbers 0..63 (M, N). */
export type Refine = (seen: Int8Array<ArrayBuffer>, sums: Float32Array, number: number) => Promise<Int8Array>;

export interface RefinedSizes {
  channels: number;
  /** Of the sums. */
  tall: number;
  wide: number;
  /** Of y. */
  rows: number;
  columns: number;
}

export class RefinedTables {
  private readonly height: number;
  private readonly width: number;
  private readonly seen: Int8Array<ArrayBuffer>;
  private readonly around: Int16Array;
  /** 1 where a place is outside of y or not kept, (4, h, w). */
  private readonly closed: Uint8Array;
  private number = 0;
  private last = new Int8Array(0);

  /** `surprise` is the table T (64, 1024); elements with a table number below `skip` are not coded. */
  constructor(
    private readonly sums: Float32Array, private readonly sizes: RefinedSizes, keep: Uint8Array | null,
    private readonly surprise: Int8Array, private readonly refine: Refine, private readonly skip: number,
  ) {
    const { channels, rows, columns } = sizes;
    this.height = (rows + 1) >> 1;
    this.width = (columns + 1) >> 1;
    const places = FOUR * this.height * this.width;
    this.seen = new Int8Array(channels * places);
    this.around = new Int16Array(channels * places);
    this.closed = new Uint8Array(places).fill(1);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        if (!keep || keep[row * columns + column]) this.closed[this.placeAt(row, column)] = 0;
      }
    }
  }

  /** Table numbers of the next pass (M, h, w), -1 where nothing is coded. */
  async index(): Promise<Int8Array> {
    const { number, skip } = this;
    const { channels } = this.sizes;
    const positions = this.height * this.width;
    const sums = this.sumsOf(number);
    let index: Int8Array;
    if (number === 0) {
      index = Int8Array.from(sums, (sum) => Math.max(0, Math.min(LAST_TABLE, Math.floor(sum / STEP))));
    } else {
      this.lookAround();
      index = Int8Array.from(await this.refine(this.seen, sums, number));
    }
    for (let c = 0; c < channels; c++) {
      const place = ((number - c) & 3) * positions;
      for (let i = 0, at = c * positions; i < positions; i++, at++) {
        if (index[at]! < skip || this.closed[place + i]) index[at] = -1;
      }
    }
    this.last = index as Int8Array<ArrayBuffer>;
    return index;
  }

  /** Takes the symbols of the pass that `index` was called for, (M, h, w). What is not coded is ignored. */
  add(symbols: ArrayLike<number>): void {
    const { height, width, number, surprise } = this;
    for (let c = 0, at = 0; c < this.sizes.channels; c++) {
      const [top, left] = PLACES[(number - c) & 3]!;
      const channel = c * FOUR * height * width;
      for (let row = top; row < 2 * height; row += 2) {
        for (let column = left; column < 2 * width; column += 2, at++) {
          const table = this.last[at]!;
          const size = Math.min(Math.abs(symbols[at]!), LARGEST);
          const own = table < 0 ? 0 : surprise[table * (LARGEST + 1) + size]!;
          this.seen[channel + this.placeAt(row, column)] = own;
          if (own) this.spread(channel, row, column, own);
        }
      }
    }
    this.number++;
  }

  /** Adds the surprise of an element to the sums of its neighbours. */
  private spread(channel: number, row: number, column: number, own: number): void {
    const bottom = Math.min(2 * this.height - 1, row + 1);
    const right = Math.min(2 * this.width - 1, column + 1);
    for (let i = Math.max(0, row - 1); i <= bottom; i++) {
      for (let j = Math.max(0, column - 1); j <= right; j++) {
        if (i !== row || j !== column) this.around[channel + this.placeAt(i, j)]! += own;
      }
    }
  }

  /** Fills what is seen from the neighbours where the pass of an element is not over. */
  private lookAround(): void {
    const positions = this.height * this.width;
    for (let c = 0; c < this.sizes.channels; c++) {
      for (let place = 0; place < FOUR; place++) {
        if (((place + c) & 3) < this.number) continue;
        const first = (c * FOUR + place) * positions;
        for (let i = first; i < first + positions; i++) {
          this.seen[i] = Math.max(-LIMIT, Math.min(LIMIT, this.around[i]! >> 2));
        }
      }
    }
  }

  private placeAt(row: number, column: number): number {
    return (PLACE_OF[row & 1]![column & 1]! * this.height + (row >> 1)) * this.width + (column >> 1);
  }

  private sumsOf(number: number): Float32Array {
    const { channels, tall, wide } = this.sizes;
    const planes = quarter(this.sums, { channels, rows: tall, columns: wide }, number);
    const [h, w] = [tall / 2, wide / 2];
    if (h === this.height && w === this.width) return planes;
    const out = new Float32Array(channels * this.height * this.width);
    for (let line = 0; line < channels * this.height; line++) {
      const from = (Math.floor(line / this.height) * h + (line % this.height)) * w;
      out.set(planes.subarray(from, from + this.width), line * this.width);
    }
    return out;
  }
}
