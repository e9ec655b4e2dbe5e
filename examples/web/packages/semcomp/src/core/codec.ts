// Pictures to latents and latents to pictures, labels and label maps: the networks around the coder, cut into tiles.
import type { HeadFacts, Label, Labels, Segmentation, Step, Timings } from "../types.ts";
import type { Bundle, Plane, Progress } from "./bundle.ts";
import { Coder, STRIDE_Y, STRIDE_Z, type Size, grid } from "./coder.ts";
import { ModelError } from "./errors.ts";
import { guidePlanes } from "./guide.ts";
import type { LabelMap } from "./labelmap.ts";
import { atLeast, keepQuiet, saidClasses, sureClasses } from "./limits.ts";
import type { GeneratorFacts } from "./manifest.ts";
import { noiseAt, noiseTile } from "./noise.ts";
import type { Correct } from "./restorer.ts";
import { type Span, TILE, tiles, window } from "./spans.ts";

/** The graph that halves latents. */
const HALVE = "halve";
/** Pixels of the picture a position of a segmenter's logits, and the side of the pieces that are brought to full size. */
const FINE = 4;
const BAND = 256;
const LEAST_SHARE = 0.01;
/** Of a generator's noise. */
const SEED = 0;

/** What heads and the synthesis read. */
export interface Latents extends Size {
  /** (M, rows, columns) */
  yHat: Float32Array;
  quality: number;
  keep: Uint8Array | null;
}

/** One tile of latents, ready for a graph, with the place it has in the whole. */
interface Tile {
  rows: Span;
  columns: Span;
  yHat: Plane;
}

/** How long each step took; what runs inside a step is that step's, but for a download. */
export class Timer {
  private readonly start = performance.now();
  private readonly steps: Partial<Record<Step, number>> = {};

  async time<T>(step: Step, work: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    this.steps[step] = (this.steps[step] ?? 0) + performance.now() - start;
    return result;
  }

  timings(): Timings {
    return { ...this.steps, total: performance.now() - this.start };
  }
}

export class Codec {
  readonly coder: Coder;
  /** How often the synthesis or a generator drew a picture. */
  decoderRuns = 0;

  constructor(readonly bundle: Bundle) {
    this.coder = new Coder(bundle);
  }

  /** y (M, 4a, 4b) of R, G, B, A pixels, padded to multiples of 64 by repeating the edge; it serves every quality. */
  async analyse(rgba: Uint8ClampedArray | Uint8Array, size: Size, progress: Progress): Promise<Float32Array> {
    const { rows, columns } = grid(size, STRIDE_Z);
    const [tall, wide] = [rows * STRIDE_Z / STRIDE_Y, columns * STRIDE_Z / STRIDE_Y];
    const y = new Float32Array(this.bundle.manifest.latents * tall * wide);
    const parts = tiles(rows * STRIDE_Z, columns * STRIDE_Z, TILE, this.bundle.reach("analysis"));
    for (const [number, part] of parts.entries()) {
      const pixels = region(rgba, size, part.rows, part.columns);
      const dims = [1, part.rows.high - part.rows.low, part.columns.high - part.columns.low, 3];
      const result = await this.bundle.run("analysis", null, { pixels: { data: pixels, dims } }, ["y"], progress);
      paste(y, tall, wide, result.y!.data as Float32Array, part, (value) => value / STRIDE_Y);
      progress("analysis", (number + 1) / parts.length);
    }
    return y;
  }

  /** R, G, B, A pixels of latents, opaque: the synthesis. */
  render(latents: Latents, progress: Progress): Promise<Uint8ClampedArray<ArrayBuffer>> {
    return this.draw(latents, "synthesis", this.bundle.reach("synthesis"), progress, async ({ yHat }) => {
      const result = await this.bundle.run("synthesis", latents.quality, { y_hat: yHat }, ["pixels"], progress);
      return result.pixels!;
    });
  }

  /** R, G, B, A pixels of a generator; the synthesis' where `latents` says what was kept. `map` guides it. */
  async complete(
    generator: GeneratorFacts, latents: Latents, map: LabelMap | null, progress: Progress,
  ): Promise<Uint8ClampedArray<ArrayBuffer>> {
    const { bundle } = this;
    const { graph, classes } = generator;
    const { rows, columns } = grid(latents, STRIDE_Y);
    const guide = guidePlanes(map, classes, latents, rows, columns);
    const kept = latents.keep ? Float32Array.from(latents.keep) : new Float32Array(rows * columns).fill(1);
    const [coarse, fine] = [bundle.channels(graph, "noise16"), bundle.channels(graph, "noise8")];
    const noise = noiseTile(SEED, coarse, fine);
    return this.draw(latents, "generator", bundle.reach(graph), progress, async ({ rows: r, columns: c, yHat }) => {
      const [tall, wide] = yHat.dims.slice(2) as [number, number];
      const finer = (span: Span) => ({ ...span, low: 2 * span.low, high: 2 * span.high });
      const keep = { data: window(kept, 1, rows, columns, r, c), dims: [1, 1, tall, wide] };
      const inputs: Record<string, Plane> = {
        y_hat: yHat, keep,
        guide: {
          data: window(guide, classes.length + 1, 2 * rows, 2 * columns, finer(r), finer(c)),
          dims: [1, classes.length + 1, 2 * tall, 2 * wide],
        },
        noise16: { data: noiseAt(noise.coarse, coarse, r, c, 1), dims: [1, coarse, tall, wide] },
        noise8: { data: noiseAt(noise.fine, fine, r, c, 2), dims: [1, fine, 2 * tall, 2 * wide] },
      };
      const run = (name: string, planes: Record<string, Plane>, output: string) =>
        bundle.run(name, name === "blend" ? null : latents.quality, planes, [output], progress).then((found) => found[output]!);
      if (!latents.keep) return run(graph, inputs, "pixels");
      const generated = await run(graph, inputs, "x_hat");
      const faithful = await run("synthesis", { y_hat: yHat }, "x_hat");
      return run("blend", { generated, faithful, keep }, "pixels");
    });
  }

  /** The picture of latents, tile by tile; `tilePixels` gives R, G, B of one. */
  private async draw(
    latents: Latents, step: Step, reach: number, progress: Progress, tilePixels: (tile: Tile) => Promise<Plane>,
  ): Promise<Uint8ClampedArray<ArrayBuffer>> {
    this.decoderRuns++;
    const { width, height, yHat } = latents;
    const { rows, columns } = grid(latents, STRIDE_Y);
    const channels = this.bundle.manifest.latents;
    const rgba = new Uint8ClampedArray(4 * width * height);
    const parts = tiles(rows, columns, TILE / STRIDE_Y, reach);
    for (const [number, part] of parts.entries()) {
      const data = window(yHat, channels, rows, columns, part.rows, part.columns);
      const dims = [1, channels, part.rows.high - part.rows.low, part.columns.high - part.columns.low];
      const pixels = (await tilePixels({ ...part, yHat: { data, dims } })).data as Uint8Array;
      const wide = STRIDE_Y * (part.columns.high - part.columns.low);
      const [top, left] = [STRIDE_Y * part.rows.low, STRIDE_Y * part.columns.low];
      const bottom = Math.min(height, STRIDE_Y * part.rows.stop);
      const right = Math.min(width, STRIDE_Y * part.columns.stop);
      for (let row = STRIDE_Y * part.rows.start; row < bottom; row++) {
        for (let column = STRIDE_Y * part.columns.start; column < right; column++) {
          const from = 3 * ((row - top) * wide + column - left);
          const to = 4 * (row * width + column);
          rgba[to] = pixels[from]!;
          rgba[to + 1] = pixels[from + 1]!;
          rgba[to + 2] = pixels[from + 2]!;
          rgba[to + 3] = 255;
        }
      }
      progress(step, (number + 1) / parts.length);
    }
    return rgba;
  }

  /** What a head says of latents, where it is sure enough. ModelError where there is no such head. */
  async recognise(
    name: string, latents: Latents, progress: Progress, timer: Timer, minConfidence = 0,
  ): Promise<Omit<Labels, "timings"> | Omit<Segmentation, "timings">> {
    const head = this.head(name);
    const { graph, limits: own, halvedFrom } = this.bundle.manifest.heads.get(name)!;
    const seen = await timer.time("head", () => this.seen(latents, halvedFrom, progress));
    const limits = atLeast(own, minConfidence, head.classes);
    const output = head.task === "classify" ? "scores" : "logits";
    const outputs = head.task === "classify" && limits.energy !== null ? [output, "energy"] : [output];
    const inputs = { y_hat: this.plane(seen) };
    const result = await timer.time("head", () => this.bundle.run(graph, latents.quality, inputs, outputs, progress));
    progress("head", head.task === "classify" ? 1 : 0.7);
    const values = result[output]!.data as Float32Array;
    if (head.task === "classify") {
      const energy = limits.energy === null ? 0 : (result.energy!.data as Float32Array)[0]!;
      const known = limits.energy === null || energy >= limits.energy;
      const sure = sureClasses(limits, values);
      const labels = known ? ranked(head.classes, values).filter((label) => sure[head.classes.indexOf(label.name)]) : [];
      return { task: "classify", head: name, labels };
    }
    const small = await timer.time("map", () => this.labelMap(values, result[output]!.dims, seen, progress));
    keepQuiet(small, saidClasses(limits, values, result[output]!.dims, seen));
    const map = enlarged(small, seen, latents);
    return {
      task: "segment", head: name, map, width: latents.width, height: latents.height, classes: head.classes,
      palette: head.palette, labels: areas(map, head.classes),
    };
  }

  /** The latents that a head reads: of the picture, or of a smaller one where the picture is large. */
  private async seen(latents: Latents, halvedFrom: number | null, progress: Progress): Promise<Latents> {
    let seen = latents;
    while (halvedFrom && Math.min(seen.width, seen.height) >= halvedFrom && this.bundle.manifest.graphs.has(HALVE)) {
      const { half } = await this.bundle.run(HALVE, null, { y_hat: this.plane(seen) }, ["half"], progress);
      const [width, height] = [Math.ceil(seen.width / 2), Math.ceil(seen.height / 2)];
      seen = { yHat: half!.data as Float32Array, quality: seen.quality, keep: null, width, height };
    }
    return seen;
  }

  /** Latents as a graph takes them. */
  private plane(latents: Latents): Plane {
    const { rows, columns } = grid(latents, STRIDE_Y);
    return { data: latents.yHat, dims: [1, this.bundle.manifest.latents, rows, columns] };
  }

  /** The corrections of the restorer of JPEG files. ModelError where the folder has none. */
  restorer(progress: Progress): { correct: Correct; reach: number } {
    if (!this.bundle.manifest.restorer) {
      throw new ModelError("the folder of graphs has no restorer of JPEG files: semcomp export onnx --restorer adds one");
    }
    const correct: Correct = async ({ rows, columns, blocks, windows, places, steps, flags }) => {
      const grid = (data: Float32Array) => ({ data, dims: [1, rows, columns, data.length / (rows * columns)] });
      const inputs = {
        blocks: grid(blocks), windows: grid(windows), places: grid(places),
        steps: { data: steps, dims: [1, steps.length / 64, 64] }, flags: { data: flags, dims: [1, flags.length] },
      };
      const found = await this.bundle.run("restorer", null, inputs, ["corrections"], progress);
      return found.corrections!.data as Float32Array;
    };
    return { correct, reach: this.bundle.reach("restorer") };
  }

  /** The head of that name, which has to segment; null where none is named. */
  segmenter(name?: string): string | null {
    if (name === undefined) return null;
    if (this.head(name).task !== "segment") throw new ModelError(`the head ${name} gives labels, no label map`);
    return name;
  }

  head(name: string): HeadFacts {
    const head = this.bundle.heads.find((each) => each.name === name);
    if (!head) {
      const known = this.bundle.heads.map((each) => each.name).join(", ") || "none";
      throw new ModelError(`there is no head ${name}; there is ${known}`);
    }
    return head;
  }

  private async labelMap(
    logits: Float32Array, [, classes, tall, wide]: readonly number[], { width, height }: Size, progress: Progress,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const map = new Uint8Array(width * height);
    for (const part of tiles(tall!, wide!, BAND, 1)) {
      const data = window(logits, classes!, tall!, wide!, part.rows, part.columns);
      const dims = [1, classes!, part.rows.high - part.rows.low, part.columns.high - part.columns.low];
      const result = await this.bundle.run("label_map", null, { logits: { data, dims } }, ["label_map"], progress);
      const numbers = result.label_map!.data as Uint8Array;
      const across = FINE * (part.columns.high - part.columns.low);
      const [left, right] = [FINE * part.columns.start, Math.min(width, FINE * part.columns.stop)];
      for (let row = FINE * part.rows.start; row < Math.min(height, FINE * part.rows.stop); row++) {
        const from = (row - FINE * part.rows.low) * across + left - FINE * part.columns.low;
        if (right > left) map.set(numbers.subarray(from, from + right - left), row * width + left);
      }
    }
    progress("map", 1);
    return map;
  }
}

/** R, G, B of a window of R, G, B, A pixels; beyond the picture its edge is repeated. */
function region(rgba: Uint8ClampedArray | Uint8Array, { width, height }: Size, rows: Span, columns: Span): Uint8Array {
  const wide = columns.high - columns.low;
  const pixels = new Uint8Array(3 * (rows.high - rows.low) * wide);
  let to = 0;
  for (let row = rows.low; row < rows.high; row++) {
    const line = Math.min(row, height - 1) * width;
    for (let column = columns.low; column < columns.high; column++) {
      const from = 4 * (line + Math.min(column, width - 1));
      pixels[to++] = rgba[from]!;
      pixels[to++] = rgba[from + 1]!;
      pixels[to++] = rgba[from + 2]!;
    }
  }
  return pixels;
}

/** Puts what a tile gave, without its halo, into the planes (C, tall, wide); `scale` takes its span to their unit. */
function paste(
  planes: Float32Array, tall: number, wide: number, tile: Float32Array, part: { rows: Span; columns: Span },
  scale: (value: number) => number,
): void {
  const { rows, columns } = part;
  const [low, high, left, right] = [scale(rows.low), scale(rows.high), scale(columns.low), scale(columns.high)];
  const [start, stop] = [scale(columns.start), scale(columns.stop)];
  for (let c = 0; c < planes.length / (tall * wide); c++) {
    for (let row = scale(rows.start); row < scale(rows.stop); row++) {
      const from = (c * (high - low) + row - low) * (right - left) + start - left;
      planes.set(tile.subarray(from, from + stop - start), (c * tall + row) * wide + start);
    }
  }
}

/** A map of a picture that another one shows smaller, by a power of two. */
function enlarged(map: Uint8Array<ArrayBuffer>, from: Size, to: Size): Uint8Array<ArrayBuffer> {
  let shift = 0;
  while (Math.ceil(to.width / 2 ** shift) > from.width || Math.ceil(to.height / 2 ** shift) > from.height) shift++;
  if (shift === 0) return map;
  const whole = new Uint8Array(to.width * to.height);
  for (let row = 0; row < to.height; row++) {
    const line = (row >> shift) * from.width;
    for (let column = 0; column < to.width; column++) whole[row * to.width + column] = map[line + (column >> shift)]!;
  }
  return whole;
}

/** Every class with its score, the best first. */
function ranked(classes: readonly string[], scores: Float32Array): Label[] {
  return classes.map((name, k) => ({ name, score: scores[k]! })).sort((a, b) => b.score - a.score);
}

/** The classes by the share of the map that they cover, but for the background. */
export function areas(map: Uint8Array, classes: readonly string[]): Label[] {
  const counts = new Float64Array(256);
  for (let i = 0; i < map.length; i++) counts[map[i]!]!++;
  return classes
    .map((name, k) => ({ name, score: counts[k]! / map.length }))
    .filter(({ name, score }) => score >= LEAST_SHARE && name.toLowerCase() !== "background")
    .sort((a, b) => b.score - a.score);
}
