// What a thumbnail's decoded coefficients say about those still to come; semcomp/thumbs/context.py says the same.
import type { Family, Layer } from "./thumbtables.ts";

const FEATURES = 19;
const SHIFT = 64;
/** Room around the zone for neighbours two places away. */
const EDGE = 2;

export const AREA = 32 * 32;
/** Every coefficient's magnitude is below 2^TOP. */
export const TOP = 13;
/** A coefficient whose prior is this far below the plane waits. */
export const HOPELESS = 48;

/** State of the coefficients, each (channels, 32, 32). */
export interface State {
  channels: number;
  high: Int32Array;
  low: Int32Array;
  width: Int32Array;
  scale: Int32Array;
}

export class Context {
  private readonly act = new Int32Array(4 * 36 * 36);
  private readonly rows = new Int32Array(4 * 32);
  private readonly columns = new Int32Array(4 * 32);
  private readonly means = new Int32Array(4);
  private readonly x = new Float64Array(FEATURES);
  private readonly buffers: Float64Array[];

  constructor(private readonly tables: Family) {
    this.buffers = tables.context.map((layer) => new Float64Array(layer.bias.length));
  }

  /**
   * Fills `state.scale` where a coefficient is known or, unless `known` alone is wanted, may be asked about; not where
   * `skip` is set.
   */
  estimate(state: State, zone: number, plane: number, known = false, skip?: Uint8Array): void {
    const { prior } = this.tables;
    this.activities(state, zone);
    for (let c = 0; c < state.channels; c++) {
      for (let u = 0; u < zone; u++) {
        for (let v = 0; v < zone; v++) {
          const place = c * AREA + u * 32 + v;
          if (skip?.[place]) continue;
          const asked = !known && (plane === 0 || prior[place]! >= 16 * plane - HOPELESS);
          if (state.low[place]! > 0 || (asked && state.high[place]! > plane)) {
            this.features(state, zone, plane, c, u, v);
            state.scale[place] = this.network() + prior[place]!;
          }
        }
      }
    }
  }

  /** Companded magnitudes relative to the prior, with a neutral edge, and their sums. */
  private activities(state: State, zone: number): void {
    const { prior, bound, inverse, compand } = this.tables;
    const side = zone + 2 * EDGE;
    this.act.fill(compand[16]!, 0, state.channels * side * side);
    for (let c = 0; c < state.channels; c++) {
      this.rows.fill(0, 32 * c, 32 * c + 32);
      this.columns.fill(0, 32 * c, 32 * c + 32);
      let low = 0;
      for (let u = 0; u < zone; u++) {
        for (let v = 0; v < zone; v++) {
          const place = c * AREA + u * 32 + v;
          const middle = 2 * state.low[place]! + state.width[place]!;
          let value: number;
          if (middle > 0) value = Math.min(Math.floor((middle * inverse[prior[place]! + 64]!) / 65536), 255);
          else value = bound[Math.min(Math.max(16 * state.high[place]! - prior[place]! + 64, 0), 511)]!;
          const act = compand[value]!;
          this.act[(c * side + u + EDGE) * side + v + EDGE] = act;
          if (v < 8) this.rows[32 * c + u]! += act;
          if (u < 8) this.columns[32 * c + v]! += act;
          if (u < 8 && v < 8) low += act;
        }
      }
      this.means[c] = low >> 4;
    }
  }

  private around(c: number, u: number, v: number, side: number): number {
    const { act } = this;
    let sum = 0;
    for (let i = -1; i <= 1; i++) {
      const row = (c * side + u + EDGE + i) * side + v + EDGE;
      sum += act[row - 1]! + act[row]! + act[row + 1]!;
    }
    return sum;
  }

  private features(state: State, zone: number, plane: number, c: number, u: number, v: number): void {
    const { act, x, tables } = this;
    const side = zone + 2 * EDGE;
    const at = (c * side + u + EDGE) * side + v + EDGE;
    const place = c * AREA + u * 32 + v;
    const neutral = tables.compand[16]!;
    const own = act[at]!;
    x[0] = act[at - side]! + act[at - 1]!;
    x[1] = act[at + side]! + act[at + 1]!;
    x[2] = this.around(c, u, v, side) - x[0]! - x[1]! - own;
    x[3] = act[at - 2 * side]! + act[at - 2]! + act[at + 2 * side]! + act[at + 2]!;
    let box = 0;
    for (let i = -2; i <= 2; i++) for (let j = -2; j <= 2; j++) box += act[at + i * side + j]!;
    x[4] = box;
    const channel = side * side;
    const base = at - c * channel;
    x[5] = neutral;
    x[6] = neutral;
    x[7] = 9 * neutral;
    if (c === 0) {
      x[5] = (act[base + channel]! + act[base + 2 * channel]!) >> 1;
      x[7] = this.around(1, u, v, side);
    } else if (c < 3) {
      x[5] = act[base]!;
      x[6] = act[base + (3 - c) * channel]!;
      x[7] = this.around(0, u, v, side);
    }
    x[8] = this.rows[32 * c + u]!;
    x[9] = this.columns[32 * c + v]!;
    x[10] = this.means[c]!;
    x[11] = this.means[0]!;
    x[12] = own;
    x[13] = Math.min(Math.max(16 * plane - tables.prior[place]!, -128), 128);
    x[14] = 4 * u;
    x[15] = 4 * v;
    x[16] = c === 0 || c === 3 ? 64 : 0;
    x[17] = c === 1 ? 64 : 0;
    x[18] = Math.min(16 * (state.high[place]! - plane), 64);
  }

  private network(): number {
    let x: Float64Array = this.x;
    const last = this.tables.context.length - 1;
    for (let n = 0; n <= last; n++) {
      const layer = this.tables.context[n]!;
      const out = this.buffers[n]!;
      const fours = out.length & ~3;
      for (let i = 0; i < fours; i += 4) sumFour(layer, x, out, i);
      for (let i = fours; i < out.length; i++) {
        let sum = layer.bias[i]!;
        for (let j = 0, at = i * layer.columns; j < layer.columns; j++) sum += layer.weight[at++]! * x[j]!;
        out[i] = sum;
      }
      for (let i = 0; i < out.length; i++) {
        const value = Math.floor(out[i]! / SHIFT);
        out[i] = n < last && value < 0 ? 0 : value;
      }
      x = out;
    }
    return x[0]!;
  }
}

/** Four outputs of a layer at once: their sums do not wait for each other. */
function sumFour({ weight, bias, columns }: Layer, x: Float64Array, out: Float64Array, first: number): void {
  let [a, b, c, d] = [bias[first]!, bias[first + 1]!, bias[first + 2]!, bias[first + 3]!];
  let at = first * columns;
  for (let j = 0; j < columns; j++, at++) {
    const value = x[j]!;
    a += weight[at]! * value;
    b += weight[at + columns]! * value;
    c += weight[at + 2 * columns]! * value;
    d += weight[at + 3 * columns]! * value;
  }
  out[first] = a;
  out[first + 1] = b;
  out[first + 2] = c;
  out[first + 3] = d;
}
