// The constants of thumbnail codes, from thumbs.safetensors: integers alone.
import { ModelError } from "./errors.ts";

/** Weights (outputs, inputs) and biases of one layer, flat. */
export interface Layer {
  weight: Float64Array;
  bias: Float64Array;
  /** Length of a row of `weight`. */
  columns: number;
}

/** What belongs to short codes alone, or to long ones alone. */
export interface Family {
  /** Gain of the higher frequencies at each level, times 256. */
  lift: Int32Array;
  prior: Int32Array;
  bound: Int32Array;
  inverse: Int32Array;
  compand: Int32Array;
  zones: Int32Array;
  /** (3, 64) each; `beyond` has one row. */
  reach: Int32Array;
  beyond: Int32Array;
  refine: Int32Array;
  centre: Int32Array;
  thresholds: Int32Array;
  context: Layer[];
  /** The network that repairs pixels; no layers leave them as they are. */
  repair: Layer[];
}

export interface ThumbTables {
  /** Weight of each coefficient, (4, 32, 32). */
  weights: Float64Array;
  short: Family;
  long: Family;
}

const FORMAT = "semcomp-thumbs-1";
const WEIGHT_UNIT = 10_000;

interface Entry {
  dtype: "I16" | "I32";
  shape: number[];
  data_offsets: [number, number];
}

/** Builds the tables from the bytes of the weights file. */
export function readThumbTables(bytes: Uint8Array): ThumbTables {
  try {
    return build(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ModelError(`the file does not hold the tables of thumbnails (${reason}); export the page again`);
  }
}

function build(bytes: Uint8Array): ThumbTables {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, Entry>;
  const { __metadata__: metadata, ...entries } = header as unknown as Record<string, Entry> & {
    __metadata__?: { format?: string };
  };
  if (metadata?.format !== FORMAT) throw new Error("its format is another one");
  const take = (name: string): [Int32Array, number[]] => {
    const entry = entries[name];
    if (!entry) throw new Error(`it has no ${name}`);
    const [start, end] = entry.data_offsets;
    const size = entry.dtype === "I16" ? 2 : 4;
    const values = new Int32Array((end - start) / size);
    for (let i = 0; i < values.length; i++) {
      const at = 8 + length + start + size * i;
      values[i] = size === 2 ? view.getInt16(at, true) : view.getInt32(at, true);
    }
    return [values, entry.shape];
  };
  const layers = (prefix: string): Layer[] => {
    const found: Layer[] = [];
    for (let n = 0; `${prefix}${n}.weight` in entries; n++) {
      const [weight, shape] = take(`${prefix}${n}.weight`);
      const [bias] = take(`${prefix}${n}.bias`);
      found.push({ weight: Float64Array.from(weight), bias: Float64Array.from(bias), columns: shape[1]! });
    }
    return found;
  };
  const family = (prefix: string, lift: Int32Array, repair: Layer[]): Family => {
    const shared = ["bound", "inverse", "compand", "thresholds"] as const;
    const own = ["prior", "zones", "reach", "beyond", "refine", "centre"] as const;
    const arrays = Object.fromEntries([
      ...shared.map((name) => [name, take(name)[0]]), ...own.map((name) => [name, take(prefix + name)[0]]),
    ]) as Record<(typeof shared)[number] | (typeof own)[number], Int32Array>;
    return { ...arrays, lift, repair, context: layers(`${prefix}layer`) };
  };
  const [stored] = take("weights");
  const [lift] = take("lift");
  return {
    weights: Float64Array.from(stored, (value) => value / WEIGHT_UNIT),
    short: family("short.", new Int32Array(lift.length).fill(256), layers("repair")),
    long: family("", lift, []),
  };
}
