// Label maps, lossless: each cell as one of its neighbours' classes, or by number. FORMAT_PAYLOADS.md has the rules.
import { Counts, Reader, Writer } from "./adaptive.ts";
import { type Bytes, COPY_AGAIN, Cursor, concat, packString, packVarint } from "./bytes.ts";
import { FormatError, ImageError } from "./errors.ts";

const VERSION = 1;
const MAX_CELL = 64;
const MAX_CELLS = 1 << 22;
const MAX_SIDE = 1 << 14;
const NONE = 4;
const MAX_BYTES_A_CELL = 6;

export interface Cells {
  rows: number;
  columns: number;
  /** Class numbers, row by row. */
  cells: Uint8Array;
}

export interface LabelMap extends Cells {
  /** Pixels a side of a cell. */
  cell: number;
  classes: string[];
  palette: [number, number, number][];
  source: string;
}

/** The ways in which W, N, NE, NW can be equal: the choice that each neighbour's class is, in order of appearance. */
const PATTERNS: number[][] = [[]];
for (let neighbour = 0; neighbour < 4; neighbour++) {
  const longer = PATTERNS.flatMap((row) => {
    const choices = Math.max(-1, ...row) + 2;
    return Array.from({ length: choices }, (_, k) => [...row, k]);
  });
  PATTERNS.splice(0, PATTERNS.length, ...longer);
}
const CHOICES = PATTERNS.map((row) => Math.max(...row) + 1);
const WEIGHTS = [[30, 0, 0, 0, 2], [15, 15, 0, 0, 2], [10, 10, 10, 0, 2], [8, 8, 7, 7, 2]];
/** The number of a pattern by its choices as digits of base 4. */
const NUMBER_OF = new Map(PATTERNS.map((row, number) => [digits(row), number]));

function digits(choices: readonly number[]): number {
  return choices.reduce((sum, choice) => 4 * sum + choice, 0);
}

/** Gives cells to a writer, or fills them from a reader, wavefront by wavefront. FormatError from a reader. */
export function codeCells({ rows, columns, cells }: Cells, stream: Writer | Reader, classes: number): void {
  const choices = new Counts(CHOICES.map((m) => WEIGHTS[m - 1]!), PATTERNS.length * classes * classes);
  const numbers = new Counts([new Array<number>(Math.max(classes, 2)).fill(1)], classes);
  const five = new Float64Array(5);
  const many = new Float64Array(numbers.alphabet);
  const around = [0, 0, 0, 0];
  // Of the last three wavefronts the class of row r at r + 1; where one ends, its last cell is repeated.
  let past = [new Uint8Array(rows + 2), new Uint8Array(rows + 2), new Uint8Array(rows + 2)];
  for (let front = 0; front < columns + 2 * rows - 2; front++) {
    const low = Math.max(0, Math.floor((front - columns + 2) / 2));
    const high = Math.min(rows - 1, Math.floor(front / 2));
    if (low > high) {
      past = [past[0]!, past[0]!, past[1]!];
      continue;
    }
    const values = new Uint8Array(rows + 2);
    const patterns: number[] = [];
    const between: number[] = [];
    const chosen: number[] = [];
    for (let row = low; row <= high; row++) {
      around[0] = past[0]![row + 1]!;
      around[1] = past[1]![row]!;
      around[2] = past[0]![row]!;
      around[3] = past[2]![row]!;
      const pattern = patternOf(around);
      const fine = (pattern * classes + around[0]) * classes + around[1];
      choices.frequencies(pattern, fine, five);
      const at = row * columns + front - 2 * row;
      const choice = stream instanceof Writer ? choose(cells[at]!, around, pattern) : stream.code(five);
      if (stream instanceof Writer) stream.code(five, choice);
      else if (choice !== NONE && choice >= CHOICES[pattern]!) {
        throw new FormatError(`a cell of the label map is like a neighbour that it does not have; ${COPY_AGAIN}`);
      }
      values[row + 1] = choice === NONE ? cells[at]! : around[PATTERNS[pattern]!.indexOf(choice)]!;
      patterns.push(pattern);
      between.push(fine);
      chosen.push(choice);
    }
    choices.add(patterns, between, chosen);

    const beside: number[] = [];
    const found: number[] = [];
    for (let row = low; row <= high; row++) {
      if (chosen[row - low] !== NONE) continue;
      const west = past[0]![row + 1]!;
      numbers.frequencies(0, west, many);
      if (stream instanceof Writer) stream.code(many, values[row + 1]!);
      else {
        const number = stream.code(many);
        if (number >= classes || [west, past[1]![row]!, past[0]![row]!, past[2]![row]!].includes(number)) {
          throw new FormatError(`a class of the label map does not exist or is a neighbour's; ${COPY_AGAIN}`);
        }
        values[row + 1] = number;
      }
      beside.push(west);
      found.push(values[row + 1]!);
    }
    numbers.add(found.map(() => 0), beside, found);
    if (stream instanceof Reader) {
      for (let row = low; row <= high; row++) cells[row * columns + front - 2 * row] = values[row + 1]!;
    }
    values[low] = values[low + 1]!;
    values[high + 2] = values[high + 1]!;
    past = [values, past[0]!, past[1]!];
  }
}

function patternOf(around: readonly number[]): number {
  let next = 0;
  let code = 0;
  const choice = [0, 0, 0, 0];
  for (let i = 0; i < 4; i++) {
    const first = around.indexOf(around[i]!);
    choice[i] = first < i ? choice[first]! : next++;
    code = 4 * code + choice[i]!;
  }
  return NUMBER_OF.get(code)!;
}

function choose(value: number, around: readonly number[], pattern: number): number {
  const neighbour = around.indexOf(value);
  return neighbour < 0 ? NONE : PATTERNS[pattern]![neighbour]!;
}

/** The class that most pixels of each cell have; of equally many the smaller class. */
export function reduceMap(map: Uint8Array, width: number, height: number, cell: number): Cells {
  const rows = Math.ceil(height / cell);
  const columns = Math.ceil(width / cell);
  const cells = new Uint8Array(rows * columns);
  const votes = new Uint32Array(256);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      votes.fill(0);
      for (let y = row * cell; y < Math.min(height, (row + 1) * cell); y++) {
        for (let x = column * cell; x < Math.min(width, (column + 1) * cell); x++) votes[map[y * width + x]!]!++;
      }
      let best = 0;
      for (let k = 1; k < 256; k++) if (votes[k]! > votes[best]!) best = k;
      cells[row * columns + column] = best;
    }
  }
  return { rows, columns, cells };
}

/** The class of every pixel. */
export function expandMap({ columns, cells }: Cells, cell: number, width: number, height: number): Uint8Array<ArrayBuffer> {
  const map = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / cell) * columns;
    for (let x = 0; x < width; x++) map[y * width + x] = cells[row + Math.floor(x / cell)]!;
  }
  return map;
}

function shapeOf(cell: number, width: number, height: number): { rows: number; columns: number; fits: boolean } {
  const rows = Math.ceil(height / cell);
  const columns = Math.ceil(width / cell);
  return { rows, columns, fits: Math.max(rows, columns) <= MAX_SIDE && rows * columns <= MAX_CELLS };
}

/** The body of a LABEL_MAP chunk. ImageError for a map of too many cells. */
export function packLabelMap(map: LabelMap): Bytes {
  if (map.rows * map.columns > MAX_CELLS || Math.max(map.rows, map.columns) > MAX_SIDE) {
    throw new ImageError(`a label map of ${map.rows} x ${map.columns} cells does not fit into a file; store no map`);
  }
  const parts = [
    Uint8Array.of(VERSION), packVarint(map.cell), packString(map.source), packVarint(map.classes.length),
    ...map.classes.flatMap((name, k) => [packString(name), Uint8Array.from(map.palette[k]!)]),
  ];
  const writer = new Writer();
  codeCells(map, writer, map.classes.length);
  return concat([...parts, writer.finish()]);
}

/** Inverse of `packLabelMap` for a picture of that size. FormatError for anything else. */
export function unpackLabelMap(data: Uint8Array, width: number, height: number): LabelMap {
  const cursor = new Cursor(data, "the label map");
  cursor.version(VERSION);
  const cell = cursor.varint();
  const source = cursor.string();
  const count = cursor.varint();
  if (cell < 1 || cell > MAX_CELL || count < 1 || count > 255) {
    throw new FormatError(
      `the label map claims cells of ${cell} pixels and ${count} classes, expected 1..64 and 1..255; ${COPY_AGAIN}`,
    );
  }
  const classes: string[] = [];
  const palette: [number, number, number][] = [];
  for (let k = 0; k < count; k++) {
    classes.push(cursor.string());
    const [red, green, blue] = cursor.take(3, "a colour");
    palette.push([red!, green!, blue!]);
  }
  const { rows, columns, fits } = shapeOf(cell, width, height);
  const words = data.subarray(cursor.offset);
  if (!fits || words.length > rows * columns * MAX_BYTES_A_CELL + 8) {
    throw new FormatError(
      `a label map of ${rows} x ${columns} cells in ${words.length} bytes cannot be that of this picture; ${COPY_AGAIN}`,
    );
  }
  const cells = new Uint8Array(rows * columns);
  const reader = new Reader(words);
  codeCells({ rows, columns, cells }, reader, count);
  reader.finish();
  return { cell, source, classes, palette, rows, columns, cells };
}
