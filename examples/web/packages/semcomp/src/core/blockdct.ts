// Planes and their 8x8 blocks of DCT coefficients, with JPEG's scale: the DC coefficient is 8 times the mean. A plane is
// (rows * 8, columns * 8) row by row with level shift removed; blocks are (rows, columns, 64) in rows of a block.
export const SIDE = 8;
export const AREA = 64;
export const WINDOW = 16;

/** The first `kept` waves of the orthonormal DCT, (kept, side). */
function waves(side: number, kept: number): Float64Array {
  return Float64Array.from({ length: kept * side }, (_, i) => {
    const [k, n] = [Math.floor(i / side), i % side];
    return Math.cos(((2 * n + 1) * k * Math.PI) / (2 * side)) * Math.sqrt(2 / side) * (k ? 1 : Math.SQRT1_2);
  });
}

const BLOCK = waves(SIDE, SIDE);
const WINDOWS = new Map([[SIDE, waves(WINDOW, SIDE)], [WINDOW, waves(WINDOW, WINDOW)]]);

/** (kept, kept) coefficients of a square of pixels, written at `to`. */
function transform(pixels: Float64Array, side: number, kept: number, wave: Float64Array, out: Float32Array, to: number): void {
  const half = new Float64Array(kept * side); // waves along the columns
  for (let u = 0; u < kept; u++) {
    for (let y = 0; y < side; y++) {
      const gain = wave[u * side + y]!;
      for (let x = 0; x < side; x++) half[u * side + x]! += gain * pixels[y * side + x]!;
    }
  }
  for (let u = 0; u < kept; u++) {
    for (let v = 0; v < kept; v++) {
      let sum = 0;
      for (let x = 0; x < side; x++) sum += half[u * side + x]! * wave[v * side + x]!;
      out[to + u * kept + v] = sum;
    }
  }
}

/** The coefficients of the blocks of a plane. */
export function forwardDct(plane: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns * AREA);
  const pixels = new Float64Array(AREA);
  const wide = SIDE * columns;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let i = 0; i < AREA; i++) pixels[i] = plane[(SIDE * row + (i >> 3)) * wide + SIDE * column + (i & 7)]!;
      transform(pixels, SIDE, SIDE, BLOCK, out, (row * columns + column) * AREA);
    }
  }
  return out;
}

/** Inverse of `forwardDct`. */
export function inverseDct(blocks: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns * AREA);
  const half = new Float64Array(AREA);
  const wide = SIDE * columns;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * AREA;
      half.fill(0);
      for (let u = 0; u < SIDE; u++) {
        for (let v = 0; v < SIDE; v++) {
          const value = blocks[from + u * SIDE + v]!;
          if (value) for (let x = 0; x < SIDE; x++) half[u * SIDE + x]! += value * BLOCK[v * SIDE + x]!;
        }
      }
      for (let y = 0; y < SIDE; y++) {
        for (let x = 0; x < SIDE; x++) {
          let sum = 0;
          for (let u = 0; u < SIDE; u++) sum += BLOCK[u * SIDE + y]! * half[u * SIDE + x]!;
          out[(SIDE * row + y) * wide + SIDE * column + x] = sum;
        }
      }
    }
  }
  return out;
}

/** The lowest kept x kept coefficients of the 16x16 windows around all blocks, written into rows of `length` at `at`. */
export function windowDct(
  plane: Float32Array, rows: number, columns: number, kept: number, out: Float32Array, length: number, at: number,
): void {
  const [tall, wide, margin] = [SIDE * rows, SIDE * columns, (WINDOW - SIDE) / 2];
  const pixels = new Float64Array(WINDOW * WINDOW);
  const wave = WINDOWS.get(kept)!;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let i = 0; i < pixels.length; i++) {
        const y = Math.min(Math.max(SIDE * row - margin + (i >> 4), 0), tall - 1);
        const x = Math.min(Math.max(SIDE * column - margin + (i & 15), 0), wide - 1);
        pixels[i] = plane[y * wide + x]!;
      }
      transform(pixels, WINDOW, kept, wave, out, (row * columns + column) * length + at);
    }
  }
}

/** Upsamples a plane (tall, wide) by factors, with a triangle filter. */
export function enlarge(plane: Float32Array, tall: number, wide: number, down: number, across: number): Float32Array {
  const out = new Float32Array(tall * down * wide * across);
  const place = (i: number, factor: number, size: number) => Math.min(Math.max((i + 0.5) / factor - 0.5, 0), size - 1);
  for (let y = 0; y < tall * down; y++) {
    const row = place(y, down, tall);
    const [top, tip] = [Math.floor(row), row - Math.floor(row)];
    const bottom = Math.min(top + 1, tall - 1);
    for (let x = 0; x < wide * across; x++) {
      const column = place(x, across, wide);
      const [left, share] = [Math.floor(column), column - Math.floor(column)];
      const right = Math.min(left + 1, wide - 1);
      const near = plane[top * wide + left]! + tip * (plane[bottom * wide + left]! - plane[top * wide + left]!);
      const far = plane[top * wide + right]! + tip * (plane[bottom * wide + right]! - plane[top * wide + right]!);
      out[y * wide * across + x] = near + share * (far - near);
    }
  }
  return out;
}
