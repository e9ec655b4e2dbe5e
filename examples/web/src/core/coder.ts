// The integer path and the mean path: latents to symbols and back, on the hyper, sigma and mean graphs.
//
// The sigma graph computes with integers that float32 holds exactly, so it names the same tables as the library. The
// mean path is float: it may move a latent by less than a rounding step, and no symbol of a file that is read.
//
// Planes are (C, height, width). y has M channels on a grid padded to 4a x 4b, z has Z on a x b; symbols of y and y_hat
// are cut to the positions of the picture, rows x columns.
import type { Bundle, Plane, Progress } from "./bundle.ts";
import { FormatError } from "./errors.ts";
import { roundHalfEven } from "./notes.ts";
import { type Costs, chooseSymbol } from "./rounding.ts";
import { SymbolReader, encodeSymbols } from "./symbolstream.ts";
import { MAX_VALUE, type Tables, parseVectors, tablesOf } from "./tables.ts";

export const STRIDE_Y = 16;
export const STRIDE_Z = 64;
const QUALITIES = 100;
const Z_LIMIT = 127;

/** The integers of a file. */
export interface Symbols {
  z: Int16Array<ArrayBuffer>;
  y: Int16Array<ArrayBuffer>;
  /** Table numbers of y, -1 where nothing is coded. */
  index: Int8Array<ArrayBuffer>;
}

export interface Size {
  width: number;
  height: number;
}

/** Rows and columns of the positions of a picture at a stride. */
export function grid({ width, height }: Size, stride: number): { rows: number; columns: number } {
  return { rows: Math.ceil(height / stride), columns: Math.ceil(width / stride) };
}

/** The prior of z that a quality uses. */
export function rateNode(quality: number, nodes: number): number {
  return Math.floor(((quality - 1) * (nodes - 1) * 2 + (QUALITIES - 1)) / (2 * (QUALITIES - 1)));
}

const floats = (plane: Plane) => plane.data as Float32Array;

export class Coder {
  readonly tablesZ: Tables;
  readonly tablesY: Tables;
  private readonly costs: Costs;

  constructor(private readonly bundle: Bundle) {
    const vectors = parseVectors(bundle.tables);
    this.tablesZ = tablesOf(vectors, "z");
    this.tablesY = tablesOf(vectors, "y");
    this.costs = this.tablesY.bits();
  }

  /** Symbols of an analysis y (M, 4a, 4b), and the y_hat (M, rows, columns) that they stand for. */
  async quantize(
    y: Float32Array, size: Size, quality: number, keep: Uint8Array | null, progress: Progress,
  ): Promise<{ symbols: Symbols; yHat: Float32Array }> {
    const shape = this.shapeOf(size);
    const { rows, columns, tall, wide } = shape;
    const run = (name: string, inputs: Record<string, Plane>, outputs: string[]) =>
      this.bundle.run(name, quality, inputs, outputs, progress);
    const full = (data: Float32Array) => ({ data, dims: [1, data.length / (tall * wide), tall, wide] });

    const steps = 4;
    const { y_scaled, z } = await run("hyper", { y: full(only(keep, y, shape)) }, ["y_scaled", "z"]);
    const scaled = floats(y_scaled!);
    const zHat = floats(z!).map((value) => Math.max(-Z_LIMIT, Math.min(Z_LIMIT, roundHalfEven(value))));
    progress("quantize", 1 / steps);
    const index = await this.tableNumbers(zHat, shape, quality, keep, progress);
    progress("quantize", 2 / steps);
    const { features, mean } = await run("mean_first", { z_hat: this.planeZ(zHat, shape) }, ["features", "mean"]);
    const residual = new Float32Array(scaled.length);
    this.choose(residual, scaled, floats(mean!), index, 0, shape);
    progress("quantize", 3 / steps);
    const { y_hat, mean2, inverse_gain } = await run(
      "mean_second", { features: features!, mean: full(only(keep, floats(mean!), shape)), residual: full(residual) },
      ["y_hat", "mean2", "inverse_gain"],
    );
    const second = new Float32Array(scaled.length);
    this.choose(second, scaled, floats(mean2!), index, 1, shape);
    progress("quantize", 1);

    const gain = floats(inverse_gain!);
    const known = floats(y_hat!);
    for (let i = 0; i < known.length; i++) {
      known[i] = Math.fround(known[i]! + Math.fround(second[i]! * gain[Math.floor(i / (tall * wide))]!));
      residual[i]! += second[i]!;
    }
    const symbols: Symbols = {
      z: Int16Array.from(zHat), y: Int16Array.from(cropped(residual, shape)), index: cropped(index, shape),
    };
    return { symbols, yHat: only(keep, cropped(known, shape), { ...shape, tall: rows, wide: columns }) };
  }

  /** y_hat (M, rows, columns) of symbols. */
  async dequantize(
    symbols: Symbols, size: Size, quality: number, keep: Uint8Array | null, progress: Progress,
  ): Promise<Float32Array> {
    const shape = this.shapeOf(size);
    const { rows, columns, tall, wide } = shape;
    const channels = this.bundle.manifest.latents;
    const residual = new Float32Array(channels * tall * wide);
    for (let c = 0; c < channels; c++) {
      for (let row = 0; row < rows; row++) {
        const from = (c * rows + row) * columns;
        residual.set(symbols.y.subarray(from, from + columns), (c * tall + row) * wide);
      }
    }
    const zHat = this.planeZ(Float32Array.from(symbols.z), shape);
    const first = await this.bundle.run("mean_first", quality, { z_hat: zHat }, ["features", "mean"], progress);
    progress("latents", 0.5);
    const dims = first.mean!.dims;
    const { y_hat } = await this.bundle.run(
      "mean_second", quality,
      {
        features: first.features!, mean: { data: only(keep, floats(first.mean!), shape), dims },
        residual: { data: residual, dims },
      },
      ["y_hat"], progress,
    );
    progress("latents", 1);
    return only(keep, cropped(floats(y_hat!), shape), { ...shape, tall: rows, wide: columns });
  }

  /** The body of the chunk SYMBOLS. */
  write(symbols: Symbols, size: Size, quality: number): Uint8Array<ArrayBuffer> {
    return encodeSymbols([
      { symbols: symbols.z, index: this.indexZ(this.shapeOf(size), quality), tables: this.tablesZ },
      { symbols: symbols.y, index: symbols.index, tables: this.tablesY },
    ]);
  }

  /** The symbols of a stream. `verifyZ` sees z before anything is made from it, and may throw. */
  async read(
    data: Uint8Array, size: Size, quality: number, keep: Uint8Array | null,
    verifyZ: (z: Int16Array) => void, progress: Progress,
  ): Promise<Symbols> {
    const shape = this.shapeOf(size);
    const reader = new SymbolReader(data);
    const z = reader.read(this.indexZ(shape, quality), this.tablesZ);
    const wrong = z.find((value) => Math.abs(value) > Z_LIMIT);
    if (wrong !== undefined) {
      throw new FormatError(`z holds ${wrong}, at most ${Z_LIMIT} is allowed; encode the picture again`);
    }
    verifyZ(z);
    progress("entropy", 0.3);
    const index = cropped(await this.tableNumbers(Float32Array.from(z), shape, quality, keep, progress), shape);
    progress("entropy", 0.6);
    const y = reader.read(index, this.tablesY);
    reader.finish();
    progress("entropy", 1);
    return { z, y, index };
  }

  /** Table numbers (M, 4a, 4b), -1 where nothing is coded. Integers alone decide them. */
  private async tableNumbers(
    zHat: Float32Array, shape: Shape, quality: number, keep: Uint8Array | null, progress: Progress,
  ): Promise<Int8Array<ArrayBuffer>> {
    const result = await this.bundle.run("sigma", quality, { z_hat: this.planeZ(zHat, shape) }, ["index"], progress);
    const index = result.index!.data as Int8Array<ArrayBuffer>;
    const { rows, columns, tall, wide } = shape;
    const { skipBelow } = this.bundle.manifest;
    for (let i = 0; i < index.length; i++) {
      const row = Math.floor(i / wide) % tall;
      const column = i % wide;
      const coded = row < rows && column < columns && (!keep || keep[row * columns + column]);
      if (!coded || index[i]! < skipBelow) index[i] = -1;
    }
    return index;
  }

  /** The symbols of the coded elements of one parity of the checkerboard, into `symbols`. */
  private choose(
    symbols: Float32Array, scaled: Float32Array, mean: Float32Array, index: Int8Array, parity: number, shape: Shape,
  ): void {
    const { tall, wide } = shape;
    for (let i = 0; i < index.length; i++) {
      if (index[i]! < 0) continue;
      const line = Math.floor(i / wide);
      if (((Math.floor(line / tall) + (line % tall) + (i % wide)) & 1) !== parity) continue;
      const chosen = chooseSymbol(Math.fround(scaled[i]! - mean[i]!), index[i]!, this.costs);
      symbols[i] = Math.max(-MAX_VALUE, Math.min(MAX_VALUE, chosen));
    }
  }

  private indexZ({ zRows, zColumns }: Shape, quality: number): Int16Array {
    const { hyper, nodes } = this.bundle.manifest;
    const index = new Int16Array(hyper * zRows * zColumns);
    const first = rateNode(quality, nodes) * hyper;
    for (let c = 0; c < hyper; c++) index.fill(first + c, c * zRows * zColumns, (c + 1) * zRows * zColumns);
    return index;
  }

  private planeZ(data: Float32Array, { zRows, zColumns }: Shape): Plane {
    return { data, dims: [1, this.bundle.manifest.hyper, zRows, zColumns] };
  }

  private shapeOf(size: Size): Shape {
    const z = grid(size, STRIDE_Z);
    return { ...grid(size, STRIDE_Y), zRows: z.rows, zColumns: z.columns, tall: 4 * z.rows, wide: 4 * z.columns };
  }
}

interface Shape {
  rows: number;
  columns: number;
  zRows: number;
  zColumns: number;
  /** Of the planes of y that a graph sees: 4 zRows, 4 zColumns. */
  tall: number;
  wide: number;
}

/** Planes that are zero where nothing is kept; `keep` is on rows x columns, false outside. */
function only(keep: Uint8Array | null, planes: Float32Array, { rows, columns, tall, wide }: Shape): Float32Array {
  if (!keep) return planes;
  return planes.map((value, i) => {
    const row = Math.floor(i / wide) % tall;
    const column = i % wide;
    return row < rows && column < columns && keep[row * columns + column] ? value : 0;
  });
}

function cropped<T extends Float32Array | Int8Array>(planes: T, { rows, columns, tall, wide }: Shape): T {
  if (tall === rows && wide === columns) return planes;
  const lines = planes.length / wide;
  const out = new (planes.constructor as { new (length: number): T })((lines / tall) * rows * columns);
  let at = 0;
  for (let line = 0; line < lines; line++) {
    if (line % tall >= rows) continue;
    out.set(planes.subarray(line * wide, line * wide + columns) as never, at);
    at += columns;
  }
  return out;
}
