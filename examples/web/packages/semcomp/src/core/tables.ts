// Frequency tables, from the safetensors file of an export, and what every value costs under them.
import { ModelError } from "./errors.ts";

export const PRECISION = 24;
export const TOTAL = 1 << PRECISION;
export const MAX_VALUE = 32767;

/** T tables; table t has 2 bounds[t] + 2 categories at offsets[t] of `frequency` and `lower`. */
export class Tables {
  readonly offsets: Int32Array;
  /** Of each category the sum of the frequencies below it in its table. */
  readonly lower: Uint32Array;

  /** ModelError where the two vectors are no tables. */
  constructor(readonly bounds: Int32Array, readonly frequency: Int32Array) {
    this.offsets = new Int32Array(bounds.length + 1);
    this.lower = new Uint32Array(frequency.length);
    bounds.forEach((bound, t) => (this.offsets[t + 1] = this.offsets[t]! + 2 * bound + 2));
    if (this.offsets[bounds.length] !== frequency.length || bounds.some((b) => b < 0 || b >= MAX_VALUE)) {
      throw new ModelError("the tables do not fit their bounds; export the graphs again");
    }
    for (let t = 0; t < bounds.length; t++) {
      let sum = 0;
      for (let i = this.offsets[t]!; i < this.offsets[t + 1]!; i++) {
        this.lower[i] = sum;
        sum += Math.max(frequency[i]!, 1);
      }
      if (sum !== TOTAL) throw new ModelError(`table ${t} adds up to ${sum}, not ${TOTAL}; export the graphs again`);
    }
  }

  get length(): number {
    return this.bounds.length;
  }

  /** The category of a table whose range holds a quantile, as an index into `frequency`. */
  find(table: number, quantile: number): number {
    let low = this.offsets[table]!;
    let high = this.offsets[table + 1]! - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.lower[middle]! <= quantile) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Bits of -W..W under every table, (T, 2W + 1), W the widest bound. */
  bits(): { bits: Float32Array; widest: number } {
    const widest = this.bounds.reduce((a, b) => Math.max(a, b), 0);
    const bits = new Float32Array(this.length * (2 * widest + 1));
    let at = 0;
    for (let t = 0; t < this.length; t++) {
      const bound = this.bounds[t]!;
      const cost = (category: number) => PRECISION - Math.log2(this.frequency[this.offsets[t]! + category]!);
      for (let value = -widest; value <= widest; value++) {
        const excess = Math.abs(value) - bound;
        bits[at++] = excess > 0 ? cost(2 * bound + 1) + 2 * binaryDigits(excess) : cost(value + bound);
      }
    }
    return { bits, widest };
  }
}

/** How many binary digits an integer of at least 1 has. */
export function binaryDigits(value: number): number {
  return 32 - Math.clz32(value);
}

interface TensorEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** The vectors of a safetensors file, of 32-bit integers or of bytes. ModelError where it is damaged. */
export function parseVectors(data: Uint8Array): Map<string, Int32Array> {
  const vectors = new Map<string, Int32Array>();
  try {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const length = Number(view.getBigUint64(0, true));
    if (length < 2 || length > data.length - 8) throw new Error(`its header claims ${length} bytes`);
    const header = JSON.parse(new TextDecoder().decode(data.subarray(8, 8 + length))) as Record<string, TensorEntry>;
    for (const [name, entry] of Object.entries(header)) {
      if (name === "__metadata__") continue;
      const [start, end] = entry.data_offsets;
      const body = data.slice(8 + length + start, 8 + length + end);
      const bytes = { I32: 4, I8: 1 }[entry.dtype];
      if (!bytes || entry.shape.length !== 1 || body.length !== bytes * entry.shape[0]!) {
        throw new Error(`${name} is no vector of integers`);
      }
      vectors.set(name, bytes === 4 ? new Int32Array(body.buffer) : Int32Array.from(new Int8Array(body.buffer)));
    }
  } catch (error) {
    throw new ModelError(`the tables are no safetensors file (${(error as Error).message}); export the graphs again`);
  }
  return vectors;
}

/** The tables of z or y. */
export function tablesOf(vectors: Map<string, Int32Array>, latent: "z" | "y"): Tables {
  const bounds = vectors.get(`tables_${latent}.bounds`);
  const flat = vectors.get(`tables_${latent}.flat`);
  if (!bounds || !flat) throw new ModelError(`the tables of ${latent} are missing; export the graphs again`);
  return new Tables(bounds, flat);
}

/** The surprise table of weights whose passes refine their tables, (64, 1024). */
export function surpriseOf(vectors: Map<string, Int32Array>): Int8Array {
  const table = vectors.get("refine.table");
  if (table?.length !== 64 * 1024) throw new ModelError("the surprise table is missing; export the graphs again");
  return Int8Array.from(table);
}
