// The integer path and the mean path: latents to symbols and back, on the hyper, sigma, refine and mean graphs.
//
// Sigma and refine compute with integers that float32 holds exactly, so they name the same tables as the library. The
// mean path is float: it may move a latent by less than a rounding step, and no symbol of a file that is read.
//
// Planes are (C, height, width). y has M channels on a grid padded to 4a x 4b, z has Z on a x b; symbols of y and y_hat
// are cut to the positions of the picture, rows x columns.
import type { Bundle, Plane, Progress } from "./bundle.ts";
import { FormatError } from "./errors.ts";
import { roundHalfEven } from "./notes.ts";
import { FOUR, type Grid, eachLine, putQuarter, quarter } from "./passes.ts";
import { type Refine, RefinedTables } from "./refinedtables.ts";
import { type Costs, chooseSymbol, toll } from "./rounding.ts";
import { SymbolReader, encodeSymbols } from "./symbolstream.ts";
import { MAX_VALUE, type Tables, parseVectors, surpriseOf, tablesOf } from "./tables.ts";

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

/** The mean of a pass and its number to planes that hold what the symbols of the pass decode to. */
type Residual = (mean: Float32Array, number: number) => Promise<Float32Array>;

export class Coder {
  readonly tablesZ: Tables;
  readonly tablesY: Tables;
  private readonly costs: Costs;
  /** The surprise table of weights whose passes refine their tables. */
  private readonly surprise: Int8Array | null;

  constructor(private readonly bundle: Bundle) {
    const vectors = parseVectors(bundle.tables);
    this.tablesZ = tablesOf(vectors, "z");
    this.tablesY = tablesOf(vectors, "y");
    this.costs = this.tablesY.bits();
    this.surprise = bundle.manifest.refined ? surpriseOf(vectors) : null;
  }

  /** The graphs that reading needs, and those that encoding needs besides. */
  get graphs(): { latents: string[]; encoder: string[] } {
    const more = [...(this.surprise ? ["refine"] : []), ...(this.bundle.manifest.centroid ? ["points"] : [])];
    return { latents: ["sigma", "mean_first", "mean_next", ...more], encoder: ["hyper"] };
  }

  /** Symbols of an analysis y (M, 4a, 4b), and the y_hat (M, rows, columns) that they stand for. */
  async quantize(
    y: Float32Array, size: Size, quality: number, keep: Uint8Array | null, progress: Progress,
  ): Promise<{ symbols: Symbols; yHat: Float32Array }> {
    const shape = this.shapeOf(size);
    const { rows, columns, tall, wide } = shape;
    const { passes } = this.bundle.manifest;
    const steps = passes + 2;
    const { y_scaled, z } = await this.bundle.run(
      "hyper", quality, { y: this.planeY(only(keep, y, shape), shape) }, ["y_scaled", "z"], progress,
    );
    const scaled = floats(y_scaled!);
    const zHat = floats(z!).map((value) => Math.max(-Z_LIMIT, Math.min(Z_LIMIT, roundHalfEven(value))));
    progress("quantize", 1 / steps);
    const tables = this.surprise && (await this.refinedTables(zHat, shape, quality, keep, progress));
    const index = tables
      ? new Int8Array(scaled.length).fill(-1) : await this.tableNumbers(zHat, shape, quality, keep, progress);
    progress("quantize", 2 / steps);
    const residual = new Float32Array(scaled.length);
    const grid = this.gridOf(shape);
    const yHat = await this.passes(zHat, shape, quality, keep, async (mean, number) => {
      if (tables) putQuarter(index, grid, number, await tables.index(), shape);
      const more = toll(quality);
      eachLine(passes, number, grid, (first, end) => {
        for (let i = first; i < end; i += 2) {
          if (index[i]! < 0) continue;
          const chosen = chooseSymbol(Math.fround(scaled[i]! - mean[i]!), index[i]!, this.costs, more);
          residual[i] = Math.max(-MAX_VALUE, Math.min(MAX_VALUE, chosen));
        }
      });
      if (tables) tables.add(quarter(cropped(residual, shape), { ...grid, rows, columns }, number));
      progress("quantize", (number + 3) / steps);
      return this.points(residual, index, [1, grid.channels, tall, wide], quality, progress);
    }, progress);
    progress("quantize", 1);
    const symbols: Symbols = {
      z: Int16Array.from(zHat), y: Int16Array.from(cropped(residual, shape)), index: cropped(index, shape),
    };
    return { symbols, yHat: cropped(yHat, shape) };
  }

  /** y_hat (M, rows, columns) of symbols. */
  async dequantize(
    symbols: Symbols, size: Size, quality: number, keep: Uint8Array | null, progress: Progress,
  ): Promise<Float32Array> {
    const shape = this.shapeOf(size);
    const { rows, columns, tall, wide } = shape;
    const { latents, passes } = this.bundle.manifest;
    const residual = new Float32Array(latents * tall * wide);
    const dims = [1, latents, rows, columns];
    const read = await this.points(Float32Array.from(symbols.y), symbols.index, dims, quality, progress);
    for (let c = 0; c < latents; c++) {
      for (let row = 0; row < rows; row++) {
        const from = (c * rows + row) * columns;
        residual.set(read.subarray(from, from + columns), (c * tall + row) * wide);
      }
    }
    const yHat = await this.passes(Float32Array.from(symbols.z), shape, quality, keep, async (_, number) => {
      progress("latents", (number + 1) / passes);
      return residual;
    }, progress);
    return cropped(yHat, shape);
  }

  /** What symbols decode to, around their means. */
  private async points(
    symbols: Float32Array, index: Int8Array, dims: readonly number[], quality: number, progress: Progress,
  ): Promise<Float32Array> {
    if (!this.bundle.manifest.centroid) return symbols;
    const inputs = { symbols: { data: symbols, dims }, index: { data: index, dims } };
    return floats((await this.bundle.run("points", quality, inputs, ["points"], progress)).points!);
  }

  /** y_hat (M, 4a, 4b), pass after pass; zero where nothing is kept. */
  private async passes(
    zHat: Float32Array, shape: Shape, quality: number, keep: Uint8Array | null, residual: Residual, progress: Progress,
  ): Promise<Float32Array> {
    const { passes } = this.bundle.manifest;
    const grid = this.gridOf(shape);
    const run = (name: string, inputs: Record<string, Plane>, outputs: string[]) =>
      this.bundle.run(name, quality, inputs, outputs, progress);
    const first = await run("mean_first", { z_hat: this.planeZ(zHat, shape) }, ["features", "mean", "inverse_gain"]);
    const gain = floats(first.inverse_gain!);
    let mean = floats(first.mean!);
    let yHat = new Float32Array(mean.length);
    for (let number = 0; number < passes; number++) {
      if (number) {
        const inputs: Record<string, Plane> = { features: first.features!, known: this.planeY(yHat, shape) };
        if (passes > 2) inputs.number = whole(number);
        mean = floats((await run("mean_next", inputs, ["mean"])).mean!);
      }
      const symbols = await residual(mean, number);
      eachLine(passes, number, grid, (start, end, channel) => {
        for (let i = start; i < end; i += 2) yHat[i] = Math.fround(mean[i]! + symbols[i]!) * gain[channel]!;
      });
      yHat = only(keep, yHat, shape) as Float32Array<ArrayBuffer>;
    }
    return yHat;
  }

  /** The body of the chunk SYMBOLS. */
  write(symbols: Symbols, size: Size, quality: number): Uint8Array<ArrayBuffer> {
    const shape = this.shapeOf(size);
    const grid = { channels: this.bundle.manifest.latents, rows: shape.rows, columns: shape.columns };
    const numbers = this.surprise ? [0, 1, 2, 3] : [];
    const y = numbers.map((number) => ({
      symbols: quarter(symbols.y, grid, number), index: quarter(symbols.index, grid, number, -1), tables: this.tablesY,
    }));
    return encodeSymbols([
      { symbols: symbols.z, index: this.indexZ(shape, quality), tables: this.tablesZ },
      ...(this.surprise ? y : [{ symbols: symbols.y, index: symbols.index, tables: this.tablesY }]),
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
    const read = this.surprise ? this.readRefined.bind(this) : this.readAtOnce.bind(this);
    const { y, index } = await read(reader, z, shape, quality, keep, progress);
    reader.finish();
    progress("entropy", 1);
    return { z, y, index };
  }

  private async readAtOnce(
    reader: SymbolReader, z: Int16Array, shape: Shape, quality: number, keep: Uint8Array | null, progress: Progress,
  ): Promise<Omit<Symbols, "z">> {
    const index = cropped(await this.tableNumbers(Float32Array.from(z), shape, quality, keep, progress), shape);
    progress("entropy", 0.6);
    return { y: reader.read(index, this.tablesY), index };
  }

  /** Pass after pass: the symbols of one decide the tables of the next. */
  private async readRefined(
    reader: SymbolReader, z: Int16Array, shape: Shape, quality: number, keep: Uint8Array | null, progress: Progress,
  ): Promise<Omit<Symbols, "z">> {
    const grid = { channels: this.bundle.manifest.latents, rows: shape.rows, columns: shape.columns };
    const count = grid.channels * grid.rows * grid.columns;
    const [y, index] = [new Int16Array(count), new Int8Array(count)];
    const tables = await this.refinedTables(Float32Array.from(z), shape, quality, keep, progress);
    for (let number = 0; number < FOUR; number++) {
      const numbers = await tables.index();
      const symbols = reader.read(numbers, this.tablesY);
      tables.add(symbols);
      putQuarter(y, grid, number, symbols, shape);
      putQuarter(index, grid, number, numbers, shape);
      progress("entropy", 0.4 + 0.15 * number);
    }
    return { y, index };
  }

  private async refinedTables(
    zHat: Float32Array, shape: Shape, quality: number, keep: Uint8Array | null, progress: Progress,
  ): Promise<RefinedTables> {
    const { latents: channels, skipBelow } = this.bundle.manifest;
    const { sums } = await this.bundle.run("sigma", quality, { z_hat: this.planeZ(zHat, shape) }, ["sums"], progress);
    const refine: Refine = async (seen, values, number) => {
      const places = values.length / channels;
      const inputs: Record<string, Plane> = {
        seen: { data: seen, dims: [channels, FOUR, places] }, sums: { data: values, dims: [channels, places] },
        number: whole(number),
      };
      return (await this.bundle.run("refine", quality, inputs, ["index"], progress)).index!.data as Int8Array;
    };
    return new RefinedTables(floats(sums!), { channels, ...shape }, keep, this.surprise!, refine, skipBelow);
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

  private planeY(data: Float32Array, { tall, wide }: Shape): Plane {
    return { data, dims: [1, this.bundle.manifest.latents, tall, wide] };
  }

  /** The planes of y that a graph sees. */
  private gridOf({ tall, wide }: Shape): Grid {
    return { channels: this.bundle.manifest.latents, rows: tall, columns: wide };
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

/** An integer as the input of a graph. */
function whole(number: number): Plane {
  return { data: BigInt64Array.of(BigInt(number)), dims: [1] };
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
