// The encoder's choice of symbols: nearest integer, or one step nearer to zero where that costs less (rdo.py).
// Every step is rounded to float32, as numpy does it.
import { roundHalfEven } from "./notes.ts";

const BITS_PER_SQUARED_STEP = Math.fround((2 * 12 * 2.16) / 3);

/** Bits of -widest..widest under every table. */
export interface Costs {
  bits: Float32Array;
  widest: number;
}

/** Bits that a step towards zero costs besides the error that it adds. */
export const toll = (quality: number): number => Math.fround(3 - Math.max(0, quality - 50) / 25);

/** The symbol of a value (float32) under a table, where a step towards zero costs a toll. */
export function chooseSymbol(value: number, table: number, { bits, widest }: Costs, more: number): number {
  const nearest = roundHalfEven(value);
  if (nearest === 0) return 0;
  if (Math.abs(nearest) > widest) return nearest;
  const sign = nearest > 0 ? 1 : -1;
  const smaller = nearest - sign;
  const column = table * (2 * widest + 1) + nearest + widest;
  const saved = Math.fround(bits[column]! - bits[column - sign]!);
  const far = Math.fround(value - smaller);
  const near = Math.fround(value - nearest);
  const error = Math.fround(Math.fround(far * far) - Math.fround(near * near));
  const lost = Math.fround(BITS_PER_SQUARED_STEP * error);
  return saved > Math.fround(lost + more) ? smaller : nearest;
}
