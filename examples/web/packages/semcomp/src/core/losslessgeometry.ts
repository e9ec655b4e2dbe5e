// Where pixels are, FORMAT_LOSSLESS.md "Order" and "Windows": levels of 2x, the four lattices of a level, and the pixels
// around a predicted one.

export type Lattice = "00" | "11" | "01" | "10";
export const PASSES = ["11", "01", "10"] as const;
export type Pass = (typeof PASSES)[number];
export const KINDS = ["luma", "first", "second"] as const;
/** Row and column of each lattice's pixel in its cell. */
export const OFFSETS: Record<Lattice, readonly [number, number]> = { "00": [0, 0], "11": [1, 1], "01": [0, 1], "10": [1, 0] };
/** Windows reach this many cells far. */
export const REACH = 2;

/** One pixel of a window: its lattice, and its cell relative to the cell of the predicted pixel. */
export interface Neighbour {
  lattice: Lattice;
  row: number;
  column: number;
}

/** How many pixels each window has at least, as the model says. */
export interface WindowSizes {
  luma: number;
  chroma: number;
  own_lattice: number;
  others: number;
  errors: number;
}

/** The windows of a pass. */
export interface Windows {
  known: Lattice[];
  luma: Neighbour[];
  chroma: Neighbour[];
  own: Neighbour[];
  others: Neighbour[];
  errors: Neighbour[];
  fit: Neighbour[];
}

const FIT = 12;

export function knownBefore(target: Pass): Lattice[] {
  return ["00", ...PASSES.slice(0, PASSES.indexOf(target))];
}

/** The nearest pixels of some lattices, whole rings of equal distance. */
function around(target: Pass, count: number, lattices: readonly Lattice[]): Neighbour[] {
  const found: (Neighbour & { distance: number })[] = [];
  for (const lattice of lattices) {
    for (let row = -REACH; row <= REACH; row++) {
      for (let column = -REACH; column <= REACH; column++) {
        const down = 2 * row + OFFSETS[lattice][0] - OFFSETS[target][0];
        const right = 2 * column + OFFSETS[lattice][1] - OFFSETS[target][1];
        if (down || right) found.push({ distance: down * down + right * right, lattice, row, column });
      }
    }
  }
  const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  found.sort((a, b) =>
    a.distance - b.distance || byName(a.lattice, b.lattice) || a.row - b.row || a.column - b.column);
  let end = Math.min(count, found.length);
  while (end < found.length && found[end]!.distance === found[end - 1]!.distance) end++;
  return found.slice(0, end);
}

export function windowsOf(target: Pass, sizes: WindowSizes): Windows {
  const known = knownBefore(target);
  return {
    known,
    luma: around(target, sizes.luma, known),
    chroma: around(target, sizes.chroma, known),
    own: around(target, sizes.own_lattice, [target]),
    others: around(target, sizes.others, known),
    errors: around(target, sizes.errors, known),
    fit: around(target, FIT, known),
  };
}

/** Rows and columns of the levels, the whole image first, down to one pixel. */
export function levelSizes(height: number, width: number): [number, number][] {
  const sizes: [number, number][] = [[height, width]];
  for (let [rows, columns] = sizes[0]!; rows > 1 || columns > 1;) {
    [rows, columns] = [Math.ceil(rows / 2), Math.ceil(columns / 2)];
    sizes.push([rows, columns]);
  }
  return sizes;
}
