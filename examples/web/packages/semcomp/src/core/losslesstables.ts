// The lossless model of an export: nine integer networks and three banks of tables; and how tables follow a file.
import { ModelError } from "./errors.ts";
import { KINDS, PASSES, type WindowSizes } from "./losslessgeometry.ts";
import { PRECISION, TOTAL, Tables } from "./tables.ts";

const FORMAT = "semcomp-lossless-1";
const PRIOR_WEIGHT = 400;
const REBUILD = 2048;
const INPUT_SHIFT = 5;
const BLOCK_SHIFT = 6;
const OUTPUT_SHIFT = 9;
const HIDDEN_LIMIT = 255;
const TYPES = { I8: Int8Array, I16: Int16Array, I32: Int32Array, U32: Uint32Array } as const;
type Vector = Int8Array | Int16Array | Int32Array | Uint32Array;

interface Tensor {
  data: Vector;
  shape: number[];
}

/** Runs the networks; `features` (F, cells) is row by row, and so are the outputs (2, cells). */
export interface Networks {
  run(name: string, features: Int8Array, cells: number): Promise<Int32Array>;
}

export interface LosslessModel {
  windows: WindowSizes;
  banks: Tables[];
  tensors: Map<string, Tensor>;
}

/** The model of a safetensors file. ModelError where it is damaged or of another kind. */
export function parseLosslessModel(data: Uint8Array): LosslessModel {
  try {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const length = Number(view.getBigUint64(0, true));
    if (length < 2 || length > data.length - 8) throw new Error(`its header claims ${length} bytes`);
    const header = JSON.parse(new TextDecoder().decode(data.subarray(8, 8 + length)));
    const { format, windows } = header.__metadata__ ?? {};
    if (format !== FORMAT) throw new Error(`its format is ${format}, not ${FORMAT}`);
    const tensors = new Map<string, Tensor>();
    for (const [name, entry] of Object.entries<any>(header)) {
      if (name === "__metadata__") continue;
      const [start, end] = entry.data_offsets;
      const Type = TYPES[entry.dtype as keyof typeof TYPES];
      const body = data.slice(8 + length + start, 8 + length + end);
      tensors.set(name, { data: new Type(body.buffer), shape: entry.shape });
    }
    const bank = (number: number) => new Tables(
      Int32Array.from(tensors.get(`banks.${number}.bounds`)!.data), Int32Array.from(tensors.get(`banks.${number}.flat`)!.data),
    );
    return { windows: JSON.parse(windows), banks: [0, 1, 2].map(bank), tensors };
  } catch (error) {
    throw new ModelError(`the lossless networks are damaged (${(error as Error).message}); export the graphs again`);
  }
}

/** The names of the networks: "luma11", "first11", ... */
export const NETWORKS = PASSES.flatMap((target) => KINDS.map((kind) => kind + target));

/** The networks in plain arithmetic: slow, and exact everywhere. The tests in node run them. */
export class PlainNetworks implements Networks {
  constructor(private readonly model: LosslessModel) {}

  async run(name: string, features: Int8Array, cells: number): Promise<Int32Array> {
    const tensor = (part: string) => this.model.tensors.get(`${name}.${part}`)!;
    const x = Int32Array.from(features);
    const activated = (sums: Int32Array, bias: Vector, shift: number) => {
      const rows = sums.length / cells;
      for (let row = 0, at = 0; row < rows; row++) {
        for (let cell = 0; cell < cells; cell++, at++) {
          sums[at] = Math.min(Math.max((sums[at]! + bias[row]!) >> shift, 0), HIDDEN_LIMIT);
        }
      }
      return sums;
    };
    let hidden = activated(product(tensor("entry"), x, cells), tensor("entry_bias").data, INPUT_SHIFT);
    for (let block = 0; this.model.tensors.has(`${name}.blocks.${block}.direct`); block++) {
      const part = (what: string) => tensor(`blocks.${block}.${what}`);
      const inner = activated(product(part("inner"), hidden, cells), part("inner_bias").data, BLOCK_SHIFT);
      const sums = product(part("direct"), hidden, cells);
      product(part("outer"), inner, cells).forEach((value, i) => (sums[i]! += value));
      hidden = activated(sums, part("bias").data, BLOCK_SHIFT);
    }
    const sums = product(tensor("from_hidden"), hidden, cells);
    const bias = tensor("bias").data;
    return product(tensor("from_features"), x, cells).map(
      (value, i) => (sums[i]! + value + bias[Math.floor(i / cells)]!) >> OUTPUT_SHIFT);
  }
}

function product({ data: weight, shape }: Tensor, values: Int32Array, cells: number): Int32Array {
  const [outputs, inputs] = shape as [number, number];
  const sums = new Int32Array(outputs * cells);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      const factor = weight[o * inputs + i]!;
      if (!factor) continue;
      for (let cell = 0; cell < cells; cell++) sums[o * cells + cell]! += factor * values[i * cells + cell]!;
    }
  }
  return sums;
}

/** The tables of one plane of one file, as they follow its symbols. */
export class AdaptiveBank {
  tables: Tables;
  private readonly counts: Float64Array;
  private waiting = 0;

  constructor(private readonly prior: Tables) {
    this.tables = prior;
    this.counts = new Float64Array(prior.frequency.length);
  }

  /** Counts the symbols of a step under the numbers of their tables; sometimes the tables change. */
  count(index: Int16Array, symbols: Int16Array): void {
    const { bounds, offsets } = this.prior;
    for (let i = 0; i < index.length; i++) {
      const table = index[i]!;
      const bound = bounds[table]!;
      const value = symbols[i]!;
      this.counts[offsets[table]! + (Math.abs(value) > bound ? 2 * bound + 1 : value + bound)]!++;
    }
    this.waiting += index.length;
    if (this.waiting < REBUILD) return;
    this.waiting = 0;
    this.rebuild();
  }

  private rebuild(): void {
    const { bounds, offsets, frequency } = this.prior;
    const mixed = new Int32Array(frequency.length);
    for (let t = 0; t < bounds.length; t++) {
      const [start, end] = [offsets[t]!, offsets[t + 1]!];
      let seen = PRIOR_WEIGHT;
      for (let i = start; i < end; i++) seen += this.counts[i]!;
      let missing = TOTAL;
      let largest = start;
      for (let i = start; i < end; i++) {
        const share = Math.floor((PRIOR_WEIGHT * frequency[i]! + this.counts[i]! * TOTAL) / seen);
        mixed[i] = 1 + Math.floor((share * (TOTAL - (end - start))) / 2 ** PRECISION);
        missing -= mixed[i]!;
        if (mixed[i]! > mixed[largest]!) largest = i;
      }
      mixed[largest]! += missing;
    }
    this.tables = new Tables(bounds, mixed);
  }
}
