// Label maps: from the class of every pixel to the body of a LABEL_MAP chunk, and back.
import { Reader, Writer } from "./adaptive.ts";
import { type Bytes, COPY_AGAIN, Cursor, concat, packString, packVarint } from "./bytes.ts";
import { type Cells, codeCells } from "./cells.ts";
import { CLASS_TABLES, type ClassTable, tableNumber } from "./classtables.ts";
import { FormatError, ImageError } from "./errors.ts";

/** Version of a body whose every cell has a class, and of one in which some cells are VOID. */
const VERSION = 1;
const VERSION_WITH_VOID = 2;
/** In cells and maps: nothing is known here. */
export const VOID = 255;
const MAX_CELL = 64;
const MAX_CELLS = 1 << 22;
const MAX_SIDE = 1 << 14;
const MAX_BYTES_A_CELL = 6;

export interface LabelMap extends Cells {
  /** Pixels a side of a cell. */
  cell: number;
  classes: string[];
  palette: [number, number, number][];
  source: string;
}

/** Gives each cell the class that most of its pixels have. VOID votes like a class; a tie goes to the smaller number. */
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

function packClasses(classes: readonly string[], palette: LabelMap["palette"]): Bytes[] {
  const number = tableNumber(classes, palette);
  if (number !== null) return [packVarint(0), packVarint(number)];
  return [packVarint(classes.length), ...classes.flatMap((name, k) => [packString(name), Uint8Array.from(palette[k]!)])];
}

function readClasses(cursor: Cursor, count: number): ClassTable {
  const found: ClassTable = { classes: [], palette: [] };
  for (let k = 0; k < count; k++) {
    found.classes.push(cursor.string());
    const [red, green, blue] = cursor.take(3, "a colour");
    found.palette.push([red!, green!, blue!]);
  }
  return found;
}

function knownClasses(number: number): ClassTable {
  const known = CLASS_TABLES.get(number);
  if (!known) throw new FormatError(`the label map has the classes of table ${number}, which is not known; use a newer page`);
  return { classes: [...known.classes], palette: known.palette.map((colour) => [...colour]) };
}

/** The body of a LABEL_MAP chunk. ImageError for a map of too many cells. */
export function packLabelMap(map: LabelMap): Bytes {
  if (map.rows * map.columns > MAX_CELLS || Math.max(map.rows, map.columns) > MAX_SIDE) {
    throw new ImageError(`a label map of ${map.rows} x ${map.columns} cells does not fit into a file; store no map`);
  }
  const hasVoid = map.cells.includes(VOID);
  const count = map.classes.length;
  const parts = [
    Uint8Array.of(hasVoid ? VERSION_WITH_VOID : VERSION), packVarint(map.cell), packString(map.source),
    ...packClasses(map.classes, map.palette),
  ];
  const writer = new Writer();
  const cells = map.cells.map((number) => (number === VOID ? count : number));
  codeCells({ ...map, cells }, writer, count + Number(hasVoid));
  return concat([...parts, writer.finish()]);
}

/** Inverse of `packLabelMap` for a picture of that size. FormatError for anything else. */
export function unpackLabelMap(data: Uint8Array, width: number, height: number): LabelMap {
  const cursor = new Cursor(data, "the label map");
  const hasVoid = cursor.version(VERSION, VERSION_WITH_VOID) === VERSION_WITH_VOID;
  const cell = cursor.varint();
  const source = cursor.string();
  const count = cursor.varint();
  if (cell < 1 || cell > MAX_CELL || count > 255) {
    throw new FormatError(
      `the label map claims cells of ${cell} pixels and ${count} classes, expected 1..64 and at most 255; ${COPY_AGAIN}`,
    );
  }
  const { classes, palette } = count ? readClasses(cursor, count) : knownClasses(cursor.varint());
  const { rows, columns, fits } = shapeOf(cell, width, height);
  const words = data.subarray(cursor.offset);
  if (!fits || words.length > rows * columns * MAX_BYTES_A_CELL + 8) {
    throw new FormatError(
      `a label map of ${rows} x ${columns} cells in ${words.length} bytes cannot be that of this picture; ${COPY_AGAIN}`,
    );
  }
  const cells = new Uint8Array(rows * columns);
  const reader = new Reader(words);
  codeCells({ rows, columns, cells }, reader, classes.length + Number(hasVoid));
  reader.finish();
  if (hasVoid && !cells.includes(classes.length)) {
    throw new FormatError(`the label map claims cells of which nothing is known, and has none; ${COPY_AGAIN}`);
  }
  const known = cells.map((number) => (number === classes.length ? VOID : number));
  return { cell, source, classes, palette, rows, columns, cells: known };
}
