// Which elements of y are coded in which pass, as semcomp/pipeline/passes.py has it. Two passes alternate like the squares
// of a checkerboard; four take the places of every 2x2 block in turn, and the channels at one place take turns too.

export const FOUR = 4;
/** Row and column of every place in its 2x2 block. */
export const PLACES = [[0, 0], [1, 1], [0, 1], [1, 0]] as const;
/** The place of row mod 2 and column mod 2. */
export const PLACE_OF = [[0, 2], [3, 1]] as const;

export interface Grid {
  channels: number;
  rows: number;
  columns: number;
}

/**
 * Visits the elements of a pass line by line, in the order in which they are coded.
 *
 * `visit` gets the index of the first element of a line in planes (channels, rows, columns), the channel, and the index
 * behind the line; every second element belongs to the pass.
 */
export function eachLine(
  passes: number, number: number, { channels, rows, columns }: Grid,
  visit: (first: number, end: number, channel: number) => void,
): void {
  for (let c = 0; c < channels; c++) {
    const [top, left] = passes === FOUR ? PLACES[(number - c) & 3]! : [0, 0];
    for (let row = top; row < rows; row += passes === FOUR ? 2 : 1) {
      const column = passes === FOUR ? left : (number + c + row) & 1;
      const line = (c * rows + row) * columns;
      visit(line + column, line + columns, c);
    }
  }
}

/** The elements of pass `number` of four: (channels, ceil(rows / 2), ceil(columns / 2)), `fill` beyond the planes. */
export function quarter<T extends Int8Array | Int16Array | Float32Array>(
  planes: T, grid: Grid, number: number, fill = 0,
): T {
  const [tall, wide] = [(grid.rows + 1) >> 1, (grid.columns + 1) >> 1];
  const out = new (planes.constructor as { new (length: number): T })(grid.channels * tall * wide).fill(fill) as T;
  let [last, at] = [-1, 0];
  eachLine(FOUR, number, grid, (first, end, channel) => {
    at = channel === last ? at + wide : channel * tall * wide;
    last = channel;
    for (let i = first, to = at; i < end; i += 2) out[to++] = planes[i]!;
  });
  return out;
}

/** Writes what `quarter` returns for a grid of rows x columns back into planes, which may be larger. */
export function putQuarter(
  planes: Int8Array | Int16Array | Float32Array, grid: Grid, number: number, values: ArrayLike<number>,
  { rows, columns }: { rows: number; columns: number },
): void {
  const [tall, wide] = [(rows + 1) >> 1, (columns + 1) >> 1];
  for (let c = 0; c < grid.channels; c++) {
    const [top, left] = PLACES[(number - c) & 3]!;
    for (let row = top; row < rows; row += 2) {
      let from = (c * tall + (row >> 1)) * wide;
      const line = (c * grid.rows + row) * grid.columns;
      for (let column = left; column < columns; column += 2) planes[line + column] = values[from++]!;
    }
  }
}
