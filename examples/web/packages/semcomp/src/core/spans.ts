// How a plane is cut into tiles with a halo. No layer between pixels and latents looks at a whole picture, so a tile with
// enough of its surroundings gives what the whole gives, up to the order of floating-point sums.

/** Pixels; pictures up to half as long again run as one. Smaller than the library's: a browser has less memory. */
export const TILE = 768;

export interface Span {
  /** Of the input, the halo included. */
  low: number;
  high: number;
  /** Of the output: what the tile is to fill. */
  start: number;
  stop: number;
}

/** The tiles along one axis of `size`; everything is in the same unit. */
export function spans(size: number, tile: number, halo: number): Span[] {
  const side = size <= 1.5 * tile ? size : tile;
  const found: Span[] = [];
  for (let start = 0; start < size; start += side) {
    const stop = Math.min(start + side, size);
    found.push({ low: Math.max(0, start - halo), high: Math.min(size, stop + halo), start, stop });
  }
  return found;
}

/** The tiles of a plane, row by row. */
export function tiles(
  height: number, width: number, tile: number, halo: number,
): { rows: Span; columns: Span }[] {
  return spans(height, tile, halo).flatMap((rows) => spans(width, tile, halo).map((columns) => ({ rows, columns })));
}

/** A window of planes (C, height, width): (C, rows, columns). */
export function window<T extends Float32Array | Uint8Array>(
  planes: T, channels: number, height: number, width: number, rows: Span, columns: Span,
): T {
  const tall = rows.high - rows.low;
  const wide = columns.high - columns.low;
  const out = new (planes.constructor as { new (length: number): T })(channels * tall * wide);
  for (let c = 0; c < channels; c++) {
    for (let row = 0; row < tall; row++) {
      const from = (c * height + rows.low + row) * width + columns.low;
      out.set(planes.subarray(from, from + wide) as never, (c * tall + row) * wide);
    }
  }
  return out;
}
