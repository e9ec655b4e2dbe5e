// Reads a thumbnail's code as far as its bytes settle it; semcomp/thumbs/walk.py and bitcoder.py say the same.
import { AREA, Context, HOPELESS, type State, TOP } from "./thumbcontext.ts";
import type { Family } from "./thumbtables.ts";

const BINS = 64;
const HALF = 1 << 15;
const LEAST = 1 << 24;

/** Range decoder that knows where the bytes at hand stop to settle decisions. */
class BitDecoder {
  /** Set as soon as a decision is not settled; what `bit` returns from then on means nothing. */
  exhausted = false;
  private place = 0;
  private code = 0;
  private slack = 0;
  private range = 0xffffffff;

  constructor(private readonly data: Uint8Array) {
    for (let i = 0; i < 4; i++) this.next();
  }

  private next(): void {
    const inside = this.place < this.data.length;
    this.code = this.code * 256 + (inside ? this.data[this.place]! : 0);
    this.slack = this.slack * 256 + (inside ? 0 : 255);
    this.place++;
  }

  /** The next bit, which is 1 with `probability` of 65,536. */
  bit(probability: number): boolean {
    const split = (this.range >>> 16) * probability;
    const bit = this.code < split;
    if (bit !== this.code + this.slack < split) this.exhausted = true;
    if (bit) this.range = split;
    else {
      this.code -= split;
      this.range -= split;
    }
    while (this.range < LEAST) {
      this.next();
      this.range *= 256;
    }
    return bit;
  }
}

const binOf = (scale: number, plane: number): number =>
  Math.min(Math.max((scale - 16 * plane + 128) >> 2, 0), BINS - 1);
const bits = (value: number): number => 32 - Math.clz32(value);

export class Walk implements State {
  readonly high: Int32Array;
  readonly low: Int32Array;
  readonly width: Int32Array;
  readonly sign: Int8Array;
  readonly scale: Int32Array;
  /** How far the walk came, 0 to 25. */
  level = 0;
  private plane = TOP;
  private readonly context: Context;
  private readonly decoder: BitDecoder;

  constructor(private readonly tables: Family, readonly channels: number, code: Uint8Array) {
    const size = channels * AREA;
    this.high = new Int32Array(size).fill(TOP);
    this.low = new Int32Array(size);
    this.width = new Int32Array(size);
    this.sign = new Int8Array(size).fill(1);
    this.scale = new Int32Array(size);
    this.context = new Context(tables);
    this.decoder = new BitDecoder(code);
  }

  /** Reads planes until the bytes at hand settle nothing more. */
  run(): void {
    for (this.plane = TOP - 1; this.plane >= 0; this.plane--) {
      this.readPlane(this.tables.zones[this.plane]!);
      if (this.decoder.exhausted) return;
    }
    this.plane = 0;
  }

  private readPlane(zone: number): void {
    const [first, second] = this.tables.thresholds as unknown as [number, number];
    this.level = 2 * (TOP - 1 - this.plane);
    const known = this.places(zone, (place) => this.low[place]! > 0);
    const visited = new Uint8Array(this.low.length);
    this.context.estimate(this, zone, this.plane);
    for (const place of known) visited[place] = 1;
    this.ask(zone, first, visited);
    if (this.decoder.exhausted) return;
    for (const place of known) {
      if (this.width[place]! > 1 << this.plane) this.halve(place);
      if (this.decoder.exhausted) return;
    }
    this.level++;
    this.context.estimate(this, zone, this.plane, false, visited);
    this.ask(zone, this.plane ? second : 0, visited);
  }

  private places(zone: number, wanted: (place: number) => boolean): number[] {
    const found: number[] = [];
    for (let c = 0; c < this.channels; c++) {
      for (let u = 0; u < zone; u++) {
        for (let v = 0, place = c * AREA + u * 32; v < zone; v++, place++) if (wanted(place)) found.push(place);
      }
    }
    return found;
  }

  /** Reads which of the likely coefficients reach the plane, the likeliest first. */
  private ask(zone: number, least: number, visited: Uint8Array): void {
    const { plane, tables, high } = this;
    const chance = (place: number): number =>
      tables.reach[(Math.min(high[place]! - plane, 3) - 1) * BINS + binOf(this.scale[place]!, plane)]!;
    const likely = this.places(zone, (place) =>
      !visited[place] && this.low[place] === 0 && high[place]! > plane
      && (plane === 0 || tables.prior[place]! >= 16 * plane - HOPELESS) && chance(place) >= least);
    const asked = likely.map((place) => ({ place, chance: chance(place) })).sort((a, b) => b.chance - a.chance);
    for (const { place, chance: probability } of asked) {
      visited[place] = 1;
      const reached = this.decoder.bit(probability);
      if (this.decoder.exhausted) return;
      if (reached) this.arrive(place);
      else high[place] = plane;
      if (this.decoder.exhausted) return;
    }
  }

  private arrive(place: number): void {
    const { decoder, tables } = this;
    const negative = decoder.bit(HALF);
    if (decoder.exhausted) return;
    this.sign[place] = negative ? -1 : 1;
    let exponent = this.plane;
    this.low[place] = this.width[place] = 1 << exponent;
    while (exponent + 1 < this.high[place]!) {
      const further = decoder.bit(tables.beyond[binOf(this.scale[place]!, exponent)]!);
      if (decoder.exhausted) return;
      if (!further) break;
      exponent++;
      this.low[place] = this.width[place] = 1 << exponent;
    }
    while (this.width[place]! > 1 << this.plane) {
      this.halve(place);
      if (decoder.exhausted) return;
    }
  }

  private halve(place: number): void {
    const bottom = this.low[place]!;
    const half = this.width[place]! >> 1;
    const known = Math.min(bits(bottom) - bits(half), 3) - 1;
    const upper = this.decoder.bit(this.tables.refine[known * BINS + binOf(this.scale[place]!, this.plane)]!);
    if (this.decoder.exhausted) return;
    if (upper) this.low[place] = bottom + half;
    this.width[place] = half;
  }

  /** Most likely value of every coefficient times 256. */
  shown(): Float64Array {
    this.context.estimate(this, 32, this.plane, true);
    const values = new Float64Array(this.low.length);
    for (let place = 0; place < values.length; place++) {
      const low = this.low[place]!;
      if (!low) continue;
      const exponent = bits(this.width[place]!) - 1;
      const known = Math.min(bits(low) - bits(this.width[place]!) + 1, 3) - 1;
      const share = this.tables.centre[known * BINS + binOf(this.scale[place]!, exponent)]!;
      values[place] = this.sign[place]! * (256 * low + share * (this.width[place]! - 1));
    }
    return values;
  }
}
