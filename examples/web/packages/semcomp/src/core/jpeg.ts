// JPEG files to quantised coefficients: baseline, extended and progressive files with Huffman codes (ITU-T T.81). What the
// Python package semcomp.jpeg reads, this reads, coefficient by coefficient. Every byte is treated as hostile.
import { MAX_PIXELS } from "./container.ts";
import { ImageError } from "./errors.ts";
import { damageOf, type ScanFacts } from "./jpegdamage.ts";
import { type Bands, BitReader, type Huffman, huffmanOf, intervals, readBlocks, type ScanBlock } from "./jpegscan.ts";
import { presetCode, ZIGZAG } from "./jpegstandard.ts";

const EOI = 0xd9;
const MAX_SCANS = 200;
/** Largest bit that a progressive scan may begin with. */
const LOWEST_BIT = 13;
/** Bits a block that a file must have, be it cut. */
const LEAST_BITS = 0.25;
const REFUSED = new Map([
  [0xc3, "lossless"], ...[0xc5, 0xc6, 0xc7].map((marker) => [marker, "hierarchical"] as const),
  ...[0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf].map((marker) => [marker, "arithmetic"] as const),
]);

interface Component {
  identifier: number;
  horizontal: number;
  vertical: number;
  /** Number of its quantisation table. */
  table: number;
}

export interface JpegPlane {
  /** Quantised, rows x columns blocks of 64 in rows of a block. Whole units are kept, also beyond the picture. */
  coefficients: Int16Array;
  rows: number;
  columns: number;
  /** In rows of a block. */
  steps: Float32Array;
  horizontal: number;
  vertical: number;
  identifier: number;
}

export interface JpegFile {
  width: number;
  height: number;
  planes: JpegPlane[];
  /** Marker and payload of application segments. */
  records: { marker: number; payload: Uint8Array }[];
  /** What could not be read, in words; empty for a whole file. */
  damage: string;
}

interface Frame {
  width: number;
  height: number;
  progressive: boolean;
  components: Component[];
  horizontal: number;
  vertical: number;
  /** Rows and columns of minimum coded units in an interleaved scan. */
  unitRows: number;
  unitColumns: number;
}

/** Reads a file. ImageError for one that is no such JPEG file. */
export function readJpeg(data: Uint8Array): JpegFile {
  if (data[0] !== 0xff || data[1] !== 0xd8) throw new ImageError("the file is not a JPEG file: it does not begin with ff d8");
  return new Reader(data).run();
}

class Reader {
  private at = 2;
  private frame: Frame | null = null;
  private planes: JpegPlane[] = [];
  private readonly steps = new Map<number, Float32Array>();
  private readonly codes = new Map<number, Huffman>();
  private readonly records: JpegFile["records"] = [];
  private restart = 0;
  private readonly scans: ScanFacts[] = [];
  private damage = "";

  constructor(private readonly data: Uint8Array) {}

  run(): JpegFile {
    for (;;) {
      const marker = this.nextMarker();
      if (marker === null) this.damage ||= "it ends early";
      if (marker === null || marker === EOI) break;
      if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
      const length = (this.data[this.at]! << 8) | this.data[this.at + 1]!;
      const payload = this.data.subarray(this.at + 2, this.at + length);
      if (!(length >= 2) || payload.length !== length - 2) {
        this.damage = "a segment of it is cut";
        break;
      }
      this.at += length;
      this.segment(marker, payload);
    }
    const { frame, planes } = this;
    if (!frame || !this.scans.length) throw new ImageError(`the JPEG file holds no picture: ${this.damage || "it has no scan"}`);
    if (!this.scans.some(({ read }) => read)) throw new ImageError("the JPEG file is damaged: no block of it can be read");
    const blocks = planes.map((_, place) => this.orderOf([place])[0]!.places.length);
    const damage = damageOf(this.damage, frame.progressive, this.scans, blocks);
    for (const plane of planes) inRows(plane.coefficients);
    return { width: frame.width, height: frame.height, planes, records: this.records, damage };
  }

  private nextMarker(): number | null {
    let at = this.data.indexOf(0xff, this.at);
    while (at >= 0 && at < this.data.length - 1) {
      const value = this.data[at + 1]!;
      if (value !== 0 && value !== 0xff) {
        this.at = at + 2;
        return value;
      }
      at = this.data.indexOf(0xff, value === 0xff ? at + 1 : at + 2);
    }
    return null;
  }

  private segment(marker: number, payload: Uint8Array): void {
    if (marker === 0xdb) this.quantisation(payload);
    else if (marker === 0xc4) this.huffman(payload);
    else if (marker === 0xdd) this.restart = (payload[0]! << 8) | payload[1]!;
    else if (marker >= 0xc0 && marker <= 0xc2) this.begin(payload, marker === 0xc2);
    else if (REFUSED.has(marker)) {
      throw new ImageError(`the JPEG file is ${REFUSED.get(marker)}, and only Huffman-coded baseline and progressive files `
        + "can be read: convert it first");
    } else if (marker === 0xda) this.scan(payload);
    else if (marker >= 0xe0 && marker <= 0xef) this.records.push({ marker, payload });
  }

  private quantisation(payload: Uint8Array): void {
    for (let at = 0; at < payload.length; ) {
      const wide = payload[at]! >> 4 ? 2 : 1;
      const number = payload[at]! & 15;
      const steps = new Float32Array(64);
      for (let k = 0; k < 64; k++) {
        const place = at + 1 + wide * k;
        steps[ZIGZAG[k]!] = wide === 2 ? (payload[place]! << 8) | payload[place + 1]! : payload[place]!;
      }
      if (number > 3 || !steps.every((step) => step > 0)) throw senseless(0xdb, "64 steps above 0 are expected");
      this.steps.set(number, steps);
      at += 1 + 64 * wide;
    }
  }

  private huffman(payload: Uint8Array): void {
    for (let at = 0; at < payload.length; ) {
      const [kind, number] = [payload[at]! >> 4, payload[at]! & 15];
      const counts = payload.subarray(at + 1, at + 17);
      const size = counts.reduce((sum, count) => sum + count, 0);
      const symbols = payload.subarray(at + 17, at + 17 + size);
      const kraft = counts.reduce((sum, count, i) => sum + count * 2 ** (15 - i), 0);
      if (kind > 1 || number > 3 || counts.length !== 16 || symbols.length !== size || kraft > 1 << 16) {
        throw senseless(0xc4, "the Huffman codes are not a prefix code");
      }
      this.codes.set(4 * kind + number, huffmanOf(counts, symbols));
      at += 17 + size;
    }
  }

  private begin(payload: Uint8Array, progressive: boolean): void {
    if (this.frame) throw new ImageError("the JPEG file has several frames, which only hierarchical files may have");
    const [precision, , , , , count] = payload;
    const [height, width] = [(payload[1]! << 8) | payload[2]!, (payload[3]! << 8) | payload[4]!];
    if (precision !== 8) throw new ImageError(`the JPEG file has ${precision} bits a channel, and 8 can be read`);
    if (height === 0) throw new ImageError("the JPEG file tells its height only at its end; rewrite it first");
    if (width * height > MAX_PIXELS) throw new ImageError(`the JPEG file claims ${width}x${height} pixels`);
    if (!width || !(count! >= 1 && count! <= 4) || payload.length < 6 + 3 * count!) throw senseless(0xc0, "it has no size");
    const components = Array.from({ length: count! }, (_, i) => {
      const [identifier, factors, table] = payload.subarray(6 + 3 * i, 9 + 3 * i) as unknown as [number, number, number];
      const [horizontal, vertical] = [factors >> 4, factors & 15];
      if (!(horizontal >= 1 && horizontal <= 4 && vertical >= 1 && vertical <= 4)) throw senseless(0xc0, "its sampling");
      return { identifier, horizontal, vertical, table };
    });
    const [horizontal, vertical] = [Math.max(...components.map((c) => c.horizontal)), Math.max(...components.map((c) => c.vertical))];
    const [unitRows, unitColumns] = [Math.ceil(height / (8 * vertical)), Math.ceil(width / (8 * horizontal))];
    this.frame = { width, height, progressive, components, horizontal, vertical, unitRows, unitColumns };
    const blocks = components.reduce((sum, c) => sum + unitRows * c.vertical * unitColumns * c.horizontal, 0);
    if (8 * this.data.length < blocks * LEAST_BITS) {
      throw new ImageError(`the JPEG file claims ${width}x${height} pixels, and ${this.data.length} bytes hold almost none`);
    }
    this.planes = components.map(({ identifier, horizontal: across, vertical: down }) => {
      const [rows, columns] = [unitRows * down, unitColumns * across];
      const steps = new Float32Array(64).fill(1);
      return { identifier, horizontal: across, vertical: down, rows, columns, steps, coefficients: new Int16Array(64 * rows * columns) };
    });
  }

  private scan(payload: Uint8Array): void {
    const { frame } = this;
    if (!frame) throw senseless(0xda, "a scan comes before the frame");
    if (this.scans.length >= MAX_SCANS) throw new ImageError(`the JPEG file has more than ${MAX_SCANS} scans; rewrite it first`);
    const count = payload[0]!;
    const chosen = Array.from({ length: count }, (_, i) => {
      const place = frame.components.findIndex(({ identifier }) => identifier === payload[1 + 2 * i]);
      const codes = payload[2 + 2 * i]!;
      if (place < 0) throw senseless(0xda, "a scan names a component that the frame does not have");
      const steps = this.steps.get(frame.components[place]!.table);
      if (!steps) throw senseless(0xda, "a quantisation table is missing");
      if (!this.scans.some(({ places }) => places.includes(place))) this.planes[place]!.steps = steps;
      return { place, dc: codes >> 4, ac: codes & 15 };
    });
    const [first, last, bits] = payload.subarray(1 + 2 * count, 4 + 2 * count) as unknown as [number, number, number];
    if (!count || count > 4 || new Set(chosen.map(({ place }) => place)).size !== count) {
      throw senseless(0xda, "a scan names a component twice");
    }
    const end = this.endOfData();
    const order = this.orderOf(chosen.map(({ place }) => place));
    const bands = { first, last, high: bits >> 4, low: bits & 15, progressive: frame.progressive };
    if (frame.progressive) checkProgression(count, first, last, bands.high, bands.low);
    const blocks = order.map(({ kind, plane }) => ({ plane, ...this.codesOf(chosen[kind]!, bands), kind }));
    const units = order[0]!.places.length;
    const interval = this.restart || units;
    let read = 0;
    for (const { number, start, stop } of intervals(this.data, this.at, end, Math.ceil(units / interval))) {
      const bitReader = new BitReader(this.data.subarray(start, stop));
      const [low, high] = [number * interval, Math.min((number + 1) * interval, units)];
      read += readBlocks(bitReader, blocks, (unit, block) => order[block]!.places[unit]!, low, high, bands);
    }
    this.scans.push({ places: chosen.map(({ place }) => place), ...bands, read, expected: units * order.length });
    this.at = end;
  }

  /** The codes that a component needs in a scan. ImageError for one that is missing. */
  private codesOf(numbers: { dc: number; ac: number }, { first, high, progressive }: Bands): Pick<ScanBlock, "dc" | "ac"> {
    const found = (kind: "dc" | "ac") => {
      const own = this.codes.get((kind === "ac" ? 4 : 0) + numbers[kind]);
      const code = own ?? (progressive ? undefined : presetCode(kind, numbers[kind]));
      if (!code) throw new ImageError(`the JPEG file is damaged: its Huffman code ${numbers[kind]} is missing`);
      return code;
    };
    return {
      dc: progressive && (first || high) ? undefined : found("dc"),
      ac: progressive && !first ? undefined : found("ac"),
    };
  }

  /** For each block of a unit: which of the scan's components it belongs to, and its place for every unit. */
  private orderOf(chosen: number[]): { kind: number; plane: JpegPlane; places: Int32Array }[] {
    const { unitRows, unitColumns, width, height, horizontal, vertical } = this.frame!;
    if (chosen.length === 1) {
      const plane = this.planes[chosen[0]!]!;
      const rows = Math.ceil(Math.ceil((height * plane.vertical) / vertical) / 8);
      const columns = Math.ceil(Math.ceil((width * plane.horizontal) / horizontal) / 8);
      const places = Int32Array.from({ length: rows * columns }, (_, i) => Math.floor(i / columns) * plane.columns + (i % columns));
      return [{ kind: 0, plane, places }];
    }
    return chosen.flatMap((place, kind) => {
      const plane = this.planes[place]!;
      return Array.from({ length: plane.vertical * plane.horizontal }, (_, i) => {
        const [down, across] = [Math.floor(i / plane.horizontal), i % plane.horizontal];
        const places = Int32Array.from({ length: unitRows * unitColumns }, (_, unit) => {
          const row = Math.floor(unit / unitColumns) * plane.vertical + down;
          return row * plane.columns + (unit % unitColumns) * plane.horizontal + across;
        });
        return { kind, plane, places };
      });
    });
  }

  /** Where the entropy-coded data ends: at the next marker that is no restart. */
  private endOfData(): number {
    let at = this.data.indexOf(0xff, this.at);
    while (at >= 0 && at < this.data.length - 1) {
      const value = this.data[at + 1]!;
      if (value !== 0 && value !== 0xff && !(value >= 0xd0 && value <= 0xd7)) return at;
      at = this.data.indexOf(0xff, value === 0xff ? at + 1 : at + 2);
    }
    return this.data.length;
  }
}

/** Coefficients from the order of files to that of rows, in place. */
function inRows(coefficients: Int16Array): void {
  const block = new Int16Array(64);
  for (let at = 0; at < coefficients.length; at += 64) {
    block.set(coefficients.subarray(at, at + 64));
    for (let k = 0; k < 64; k++) coefficients[at + ZIGZAG[k]!] = block[k]!;
  }
}

/** Checks the parameters of a progressive scan (T.81, G.1.1.1.1). */
function checkProgression(count: number, first: number, last: number, high: number, low: number): void {
  if (!(first <= last && last <= 63) || (first === 0 && last > 0)) throw senseless(0xda, `a progressive scan has the band ${first} to ${last}`);
  if (first > 0 && count > 1) throw senseless(0xda, `a scan of AC coefficients has ${count} components`);
  if (low > LOWEST_BIT || (high && low !== high - 1)) throw senseless(0xda, `a progressive scan goes from bit ${high} to bit ${low}`);
}

function senseless(marker: number, why: string): ImageError {
  return new ImageError(`the JPEG file is damaged: its segment 0x${marker.toString(16)} makes no sense (${why})`);
}
