// What the page works on: one photo, one set of latents and the file that they came from or went into.
import type {
  ClientFacts, EncodeRequest, Encoded, Label, Labels, Opened, Picture, Restored, Segmentation, SymbolsDump, Timings,
} from "../types.ts";
import type { Bundle, Progress } from "./bundle.ts";
import type { Bytes } from "./bytes.ts";
import { Codec, type Latents, Timer, areas } from "./codec.ts";
import { STRIDE_Y, type Symbols, grid } from "./coder.ts";
import { type Chunk, type Container, Kind, chunkOf, readContainer, writeContainer } from "./container.ts";
import { FormatError, ImageError } from "./errors.ts";
import { ExactDecoder, shown } from "./exact.ts";
import {
  checkModel, checkOfZ, checksOf, factsOf, generatorFor, generatorOf, headerOf, keepOf, noteOf, verify,
} from "./file.ts";
import { packKeep } from "./keepmask.ts";
import { readJpeg } from "./jpeg.ts";
import { type LabelMap, expandMap, packLabelMap, reduceMap, unpackLabelMap } from "./labelmap.ts";
import { checkSize } from "./memory.ts";
import { packGenerator, packTags, worthStoring } from "./notes.ts";
import { orientationOf, upright } from "./orientation.ts";
import { packGrey } from "./png.ts";
import { checkProducts } from "./products.ts";
import { restoreJpeg } from "./restorer.ts";
import { channelsOf, greyed, transparent } from "./rgba.ts";
import { symbolCrc } from "./symbolstream.ts";

/** Pixels a side of a cell of a stored map: of one that guides a generator, and of another. */
const GUIDE_CELL = 8;
const CELL = 4;
/** At which a head reads a photo of which only a part will be coded. */
const HEAD_QUALITY = 75;
const ANY_ID = "0".repeat(16);

interface Photo {
  width: number;
  height: number;
  grey: boolean;
  alpha: Uint8Array | null;
  y: Float32Array;
  /** Label maps of the whole photo, by head. */
  maps: Map<string, Omit<Segmentation, "timings">>;
}

interface Readable {
  latents: Latents;
  symbols: Symbols;
}

interface Current {
  /** Null for a file that holds exact pixels alone. */
  read: Readable | null;
  container: Container;
}

export class Workspace {
  private readonly codec: Codec;
  private readonly exact: ExactDecoder;
  private photo: Photo | null = null;
  private current: Current | null = null;
  private productsAreExact = false;

  constructor(private readonly bundle: Bundle, private readonly limit: number) {
    this.codec = new Codec(bundle);
    this.exact = new ExactDecoder(bundle);
  }

  get decoderRuns(): number {
    return this.codec.decoderRuns;
  }

  private get entropyGraphs(): string[] {
    const { encoder, latents } = this.codec.coder.graphs;
    return [...encoder, ...latents];
  }

  /** Has the graphs that decide bits ready, and compares their sums with the manifest, once. */
  private async entropyNeeded(names: readonly string[], progress: Progress): Promise<void> {
    await this.bundle.need(names, progress);
    if (this.productsAreExact) return;
    await checkProducts(this.bundle, progress);
    this.productsAreExact = true;
  }

  facts(threads: number, simd: boolean): ClientFacts {
    const { name, entropyId, modelId, restorer } = this.bundle.manifest;
    const restores = restorer !== null;
    return { codec: name, entropyId, modelId, heads: this.bundle.heads, restores, threads, simd, maxPixels: this.limit };
  }

  async openPhoto(
    rgba: Uint8ClampedArray, width: number, height: number, progress: Progress,
  ): Promise<{ width: number; height: number; hasAlpha: boolean; timings: Timings }> {
    checkSize(width, height, this.limit);
    if (!(width >= 1 && height >= 1) || rgba.length !== 4 * width * height) {
      throw new ImageError(`${rgba.length} bytes are no picture of ${width} x ${height} pixels`);
    }
    const timer = new Timer();
    this.photo = null;
    await timer.time("download", () => this.bundle.need(["analysis"], progress));
    const y = await timer.time("analysis", () => this.codec.analyse(rgba, { width, height }, progress));
    const { grey, alpha } = channelsOf(rgba);
    this.photo = { width, height, grey, alpha, y, maps: new Map() };
    return { width, height, hasAlpha: alpha !== null, timings: timer.timings() };
  }

  async encode(request: EncodeRequest, progress: Progress): Promise<Encoded> {
    const photo = this.photo;
    if (!photo) throw new ImageError("there is no photo to encode; open one first");
    const { quality, store = [], minConfidence = 0 } = request;
    if (!Number.isInteger(quality) || quality < 1 || quality > 100) {
      throw new ImageError(`the quality is a whole number from 1 to 100, not ${quality}`);
    }
    const keep = request.keep ?? null;
    const { columns, rows } = grid(photo, STRIDE_Y);
    if (keep && keep.length !== rows * columns) {
      throw new ImageError(`what to keep has ${keep.length} positions, the photo has ${rows} x ${columns}`);
    }
    const regions = keep && packKeep(keep, columns);
    const timer = new Timer();
    await timer.time("download", () => this.entropyNeeded(this.entropyGraphs, progress));
    const { symbols, yHat } = await timer.time("quantize", () =>
      this.codec.coder.quantize(photo.y, photo, quality, keep, progress));
    const body = await timer.time("entropy", () => this.codec.coder.write(symbols, photo, quality));
    progress("entropy", 1);

    const latents: Latents = { yHat, width: photo.width, height: photo.height, quality, keep };
    const chunks: Chunk[] = [{ kind: Kind.SYMBOLS, data: body }];
    if (photo.alpha) {
      chunks.push({ kind: Kind.ALPHA, data: await packGrey(photo.alpha, photo.width, photo.height) });
    }
    if (regions) chunks.push(...(await this.partChunks(photo, regions, request.head, progress, timer)));
    const there = new Set(chunks.map((chunk) => chunk.kind));
    const own = await this.semanticChunks(latents, store, minConfidence, progress, timer);
    chunks.push(...own.filter((chunk) => !there.has(chunk.kind)));
    const header = headerOf(this.bundle.manifest, symbols, keep, {
      width: photo.width, height: photo.height, mode: photo.grey ? 1 : 0, quality,
    });
    const bytes = writeContainer(header, chunks);
    const container = readContainer(bytes);
    this.hold({ read: { latents, symbols }, container });
    const facts = factsOf(container, bytes.length, keep, this.bundle.manifest);
    return { bytes, facts, timings: timer.timings() };
  }

  async openFile(bytes: Uint8Array, progress: Progress): Promise<Opened> {
    const container = readContainer(bytes);
    const { header } = container;
    const { width, height, quality } = header;
    checkModel(container, this.bundle.manifest);
    checkSize(width, height, this.limit);
    const keep = keepOf(container);
    const facts = factsOf(container, bytes.length, keep, this.bundle.manifest);
    const timer = new Timer();
    if (!facts.hasLatents) {
      this.hold({ read: null, container });
      return { facts, timings: timer.timings() };
    }
    await timer.time("download", () => this.entropyNeeded(this.codec.coder.graphs.latents, progress));
    const symbols = await timer.time("entropy", () =>
      this.codec.coder.read(
        chunkOf(container, Kind.SYMBOLS)!, header, quality, keep,
        (z) => verify(checkOfZ(header, keep, z) === header.zCheck, "symbols of z"), progress,
      ));
    verify(checksOf(header, keep, symbols.z, symbols.y).whole === header.symbolCrc, "symbols");
    const yHat = await timer.time("latents", () => this.codec.coder.dequantize(symbols, header, quality, keep, progress));
    this.hold({ read: { latents: { yHat, width, height, quality, keep }, symbols }, container });
    return { facts, timings: timer.timings() };
  }

  async decode(faithful: boolean, progress: Progress): Promise<Picture> {
    const { container } = this.needed();
    if (chunkOf(container, Kind.LOSSLESS)) return this.decodeExact(container, progress);
    const { latents } = this.readable();
    const { width, height } = latents;
    const timer = new Timer();
    const note = faithful ? null : generatorOf(container);
    const generator = note && this.bundle.manifest.generators.get(note.name);
    const more = generator ? [generator.graph, ...(latents.keep ? ["synthesis", "blend"] : [])] : ["synthesis"];
    await timer.time("download", () => this.bundle.need(more, progress));
    const rgba = generator
      ? await timer.time("generator", () => this.codec.complete(generator, latents, this.guideOf(container), progress))
      : await timer.time("synthesis", () => this.codec.render(latents, progress));
    const synthesised = generator ? noteOf(note, generator, latents.keep) : "";
    if (container.header.mode === 1) greyed(rgba);
    await transparent(rgba, container);
    return { rgba, width, height, synthesised, timings: timer.timings() };
  }

  private async decodeExact(container: Container, progress: Progress): Promise<Picture> {
    const { width, height } = container.header;
    const timer = new Timer();
    await timer.time("download", () => this.exact.need(progress));
    const rgba = await timer.time("exact", async () => shown(await this.exact.decode(container, progress)));
    await transparent(rgba, container);
    return { rgba, width, height, synthesised: "", timings: timer.timings() };
  }

  /** The label map that a file holds; one that is damaged guides nothing. */
  private guideOf(container: Container): LabelMap | null {
    const body = chunkOf(container, Kind.LABEL_MAP);
    try {
      return body && unpackLabelMap(body, container.header.width, container.header.height);
    } catch {
      return null; // what the page says of the file names the damage
    }
  }

  /** The picture of a JPEG file, restored and the right way up. It touches nothing else that is open. */
  async restore(bytes: Uint8Array, strength: number, progress: Progress): Promise<Restored> {
    const { correct, reach } = this.codec.restorer(progress);
    const timer = new Timer();
    const file = readJpeg(bytes);
    checkSize(file.width, file.height, this.limit);
    await timer.time("download", () => this.bundle.need(["restorer"], progress));
    const pixels = await timer.time("restoration", () =>
      restoreJpeg(file, correct, reach, strength, (share) => progress("restoration", share)));
    const turned = upright(pixels, file.width, file.height, orientationOf(file));
    return { ...turned, damage: file.damage, timings: timer.timings() };
  }

  async recognise(head: string, progress: Progress, minConfidence = 0): Promise<Labels | Segmentation> {
    const { latents } = this.readable();
    const timer = new Timer();
    await timer.time("download", () => this.needHead(head, progress));
    const answer = await this.codec.recognise(head, latents, progress, timer, minConfidence);
    return { ...answer, timings: timer.timings() };
  }

  async storedMap(progress: Progress): Promise<Segmentation> {
    const { container } = this.needed();
    const body = chunkOf(container, Kind.LABEL_MAP);
    if (!body) throw new FormatError("the file holds no label map; draw one from its latents");
    const { width, height } = container.header;
    const timer = new Timer();
    const stored = await timer.time("map", () => unpackLabelMap(body, width, height));
    const map = expandMap(stored, stored.cell, width, height);
    progress("map", 1);
    const { classes, palette, source } = stored;
    return {
      task: "segment", head: source, map, width, height, classes, palette, labels: areas(map, classes),
      timings: timer.timings(),
    };
  }

  symbols(): SymbolsDump {
    const { z, y, index } = this.readable().symbols;
    return { z, y, index, crc: symbolCrc(y, symbolCrc(z)) };
  }

  /** GENERATOR, REGIONS and, where there is a segmenter, the LABEL_MAP that guides the generator. */
  private async partChunks(
    photo: Photo, regions: Bytes, wanted: string | undefined, progress: Progress, timer: Timer,
  ): Promise<Chunk[]> {
    const head = this.codec.segmenter(wanted);
    const name = generatorFor(head);
    const id = this.bundle.manifest.generators.get(name)?.id ?? ANY_ID; // any network of that name may complete it
    const chunks: Chunk[] = [
      { kind: Kind.GENERATOR, data: packGenerator({ name, id, guided: head !== null }) },
      { kind: Kind.REGIONS, data: regions },
    ];
    if (head === null) return chunks;
    const found = photo.maps.get(head) ?? (await this.wholeMap(photo, head, progress, timer));
    photo.maps.set(head, found);
    return [...chunks, { kind: Kind.LABEL_MAP, data: mapBody(found, GUIDE_CELL) }];
  }

  private async wholeMap(photo: Photo, head: string, progress: Progress, timer: Timer) {
    await timer.time("download", () => this.needHead(head, progress));
    const { width, height } = photo;
    const { yHat } = await timer.time("latents", () =>
      this.codec.coder.quantize(photo.y, photo, HEAD_QUALITY, null, progress));
    const latents = { yHat, width, height, quality: HEAD_QUALITY, keep: null };
    return (await this.codec.recognise(head, latents, progress, timer)) as Omit<Segmentation, "timings">;
  }

  /** TAGS of the first classifier, or else the areas of the first segmenter; LABEL_MAP of that one. */
  private async semanticChunks(
    latents: Latents, heads: readonly string[], minConfidence: number, progress: Progress, timer: Timer,
  ): Promise<Chunk[]> {
    let labels: { labels: Label[]; head: string } | null = null;
    let map: Omit<Segmentation, "timings"> | null = null;
    for (const name of heads) {
      const { task } = this.codec.head(name);
      if (task === "classify" ? labels : map) continue;
      await timer.time("download", () => this.needHead(name, progress));
      const answer = await this.codec.recognise(name, latents, progress, timer, minConfidence);
      if (answer.task === "classify") labels = answer;
      else map = answer;
    }
    const areas = labels === null;
    labels ??= map;
    const chunks: Chunk[] = [];
    if (labels) chunks.push({ kind: Kind.TAGS, data: packTags(worthStoring(labels.labels), labels.head, areas) });
    if (map) chunks.push({ kind: Kind.LABEL_MAP, data: mapBody(map, CELL) });
    return chunks;
  }

  private needHead(name: string, progress: Progress): Promise<void> {
    const { task } = this.codec.head(name);
    const graph = this.bundle.manifest.heads.get(name)!.graph;
    return this.bundle.need(task === "segment" ? [graph, "label_map"] : [graph], progress);
  }

  private hold(current: Current): void {
    this.current = current;
    this.codec.decoderRuns = 0;
  }

  private readable(): Readable {
    const { read } = this.needed();
    if (!read) throw new ImageError("the file holds exact pixels and no latents, which heads read: encode it with latents too");
    return read;
  }

  private needed(): Current {
    if (!this.current) throw new ImageError("nothing is open; open a photo or a .semc file first");
    return this.current;
  }
}

function mapBody(answer: Omit<Segmentation, "timings">, cell: number): Bytes {
  const { classes, palette, head, width, height } = answer;
  return packLabelMap({ ...reduceMap(answer.map, width, height, cell), cell, classes, palette, source: head });
}
