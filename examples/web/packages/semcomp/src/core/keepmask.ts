// Which 16x16 positions of a picture are stored: 1 for each, row by row, to the body of a REGIONS chunk, and back.
import { Reader, Writer } from "./adaptive.ts";
import { type Bytes, COPY_AGAIN, Cursor, concat, packVarint } from "./bytes.ts";
import { codeCells } from "./cells.ts";
import { FormatError, ImageError } from "./errors.ts";

export const POSITION = 16;
const VERSION = 1;
const BOXES = 0;
const BITMAP = 1;
const MAX_BOXES = 64;
const MAX_SIDE = 1 << 14;

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export function countKept(keep: Uint8Array): number {
  return keep.reduce((sum, kept) => sum + (kept ? 1 : 0), 0);
}

/** Boxes that do not overlap and cover exactly the kept positions: runs of a row, joined with equal ones below. */
export function rectangles(keep: Uint8Array, columns: number): Box[] {
  const rows = keep.length / columns;
  const boxes: Box[] = [];
  let open = new Map<number, Box>(); // by start * columns + width
  for (let row = 0; row < rows; row++) {
    const now = new Map<number, Box>();
    for (let x = 0; x < columns; x++) {
      if (!keep[row * columns + x]) continue;
      let stop = x;
      while (stop < columns && keep[row * columns + stop]) stop++;
      const key = x * (columns + 1) + stop - x;
      const box = open.get(key) ?? { x, y: row, width: stop - x, height: 0 };
      if (!box.height) boxes.push(box);
      box.height++;
      now.set(key, box);
      x = stop;
    }
    open = now;
  }
  return boxes;
}

/** The body of a REGIONS chunk, in the form that takes fewer bytes. ImageError where nothing or everything is kept. */
export function packKeep(keep: Uint8Array, columns: number): Bytes {
  const kept = countKept(keep);
  if (!kept) throw new ImageError("nothing is to be kept; choose a class, or paint what to keep");
  if (kept === keep.length) throw new ImageError("everything is to be kept; encode the whole picture instead");
  const rows = keep.length / columns;
  const boxes = rectangles(keep, columns);
  const forms: Bytes[] = [];
  const head = (form: number) => [Uint8Array.of(VERSION), packVarint(kept), Uint8Array.of(form)];
  if (boxes.length <= MAX_BOXES) {
    const values = boxes.flatMap((box) => [box.x, box.y, box.width, box.height].map(packVarint));
    forms.push(concat([...head(BOXES), packVarint(boxes.length), ...values]));
  }
  if (Math.max(rows, columns) <= MAX_SIDE) {
    const writer = new Writer();
    codeCells({ rows, columns, cells: keep }, writer, 2);
    forms.push(concat([...head(BITMAP), writer.finish()]));
  }
  const shortest = forms.sort((a, b) => a.length - b.length)[0];
  if (!shortest) throw new ImageError(`what is kept makes ${boxes.length} boxes, at most 64 fit; keep fewer parts`);
  return shortest;
}

/** Inverse of `packKeep` for a picture of that size: 1 for each kept position. FormatError for anything else. */
export function unpackKeep(data: Uint8Array, width: number, height: number): Uint8Array<ArrayBuffer> {
  const rows = Math.ceil(height / POSITION);
  const columns = Math.ceil(width / POSITION);
  const cursor = new Cursor(data, "the regions");
  cursor.version(VERSION);
  const kept = cursor.varint();
  if (kept < 1 || kept >= rows * columns) {
    throw new FormatError(`the regions keep ${kept} of ${rows * columns} positions; ${COPY_AGAIN}`);
  }
  const form = cursor.u8("the form");
  const keep = new Uint8Array(rows * columns);
  if (form === BOXES) {
    readBoxes(cursor, keep, columns);
    cursor.end();
  } else if (form === BITMAP) {
    const words = data.subarray(cursor.offset);
    if (Math.max(rows, columns) > MAX_SIDE || words.length > 6 * keep.length + 8) {
      throw new FormatError(`${words.length} bytes for a bitmap of ${rows} x ${columns} positions; ${COPY_AGAIN}`);
    }
    const reader = new Reader(words);
    codeCells({ rows, columns, cells: keep }, reader, 2);
    reader.finish();
  } else {
    throw new FormatError(`the regions are of form ${form}, expected 0 or 1; use a newer page`);
  }
  if (countKept(keep) !== kept) {
    throw new FormatError(`the regions keep ${countKept(keep)} positions and claim ${kept}; ${COPY_AGAIN}`);
  }
  return keep;
}

function readBoxes(cursor: Cursor, keep: Uint8Array, columns: number): void {
  const rows = keep.length / columns;
  const count = cursor.varint();
  if (count < 1 || count > MAX_BOXES) {
    throw new FormatError(`the regions claim ${count} boxes, expected 1..${MAX_BOXES}; ${COPY_AGAIN}`);
  }
  for (let number = 0; number < count; number++) {
    const [x, y, width, height] = [cursor.varint(), cursor.varint(), cursor.varint(), cursor.varint()];
    if (!width || !height || x + width > columns || y + height > rows) {
      throw new FormatError(`box ${number} of the regions is empty or outside the picture; ${COPY_AGAIN}`);
    }
    for (let row = y; row < y + height; row++) {
      const line = keep.subarray(row * columns + x, row * columns + x + width);
      if (line.includes(1)) {
        throw new FormatError(`box ${number} of the regions overlaps another one; ${COPY_AGAIN}`);
      }
      line.fill(1);
    }
  }
}
