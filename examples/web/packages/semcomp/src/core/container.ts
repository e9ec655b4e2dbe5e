// The container of FORMAT.md: a checked header, a table of chunks, their bodies. Every byte is treated as hostile.
import { type Bytes, COPY_AGAIN, Cursor, concat, crc32, hex, packInteger, packVarint } from "./bytes.ts";
import { FormatError } from "./errors.ts";

export const MAGIC = Uint8Array.of(0x89, 0x53, 0x4d, 0x43);
export const SYNTHESISED = 1;
export const MAX_PIXELS = 178_000_000;
const VERSION = 1;
const MAX_SIDE = 1 << 20;
const MAX_CHUNKS = 64;
const MAX_HEADER_BYTES = 1024;
const CELL = 64;
const ENCODE_AGAIN = "encode the picture again";

export const Kind = {
  SYMBOLS: 1, ALPHA: 3, LABEL_MAP: 4, TAGS: 5, REGIONS: 6, ICC: 7, EXIF: 8, GENERATOR: 9, XMP: 10, PADDING: 11,
  LOSSLESS: 12, PREVIEW: 16, EMBEDDING: 17,
} as const;
const NAMES = new Map<number, string>(Object.entries(Kind).map(([name, kind]) => [kind, name]));
const REQUIRED = new Set<number>([Kind.SYMBOLS, Kind.ALPHA, Kind.REGIONS, Kind.GENERATOR, Kind.LOSSLESS]);

export interface Header {
  width: number;
  height: number;
  /** 0 RGB, 1 grey */
  mode: number;
  flags: number;
  quality: number;
  /** 8 bytes each */
  entropyId: Uint8Array;
  modelId: Uint8Array;
  symbolCrc: number;
  zCheck: number;
}

export interface Chunk {
  kind: number;
  data: Uint8Array;
}

export interface Container {
  header: Header;
  chunks: Chunk[];
  /** Optional chunks that are damaged. */
  lost: { kind: number; name: string; reason: string }[];
}

export function chunkName(kind: number): string {
  return NAMES.get(kind) ?? `chunk ${kind}`;
}

/** The body of a chunk, or null. */
export function chunkOf(container: Container, kind: number): Uint8Array | null {
  return container.chunks.find((chunk) => chunk.kind === kind)?.data ?? null;
}

export function smallestFile(width: number, height: number): number {
  return Math.ceil(width / CELL) * Math.ceil(height / CELL);
}

/** The bytes of a file, with PADDING where it would be too short. The caller keeps the rules on chunks. */
export function writeContainer(header: Header, chunks: readonly Chunk[]): Bytes {
  const file = joined(header, chunks);
  const missing = smallestFile(header.width, header.height) - file.length;
  if (missing <= 0) return file;
  return joined(header, [...chunks, { kind: Kind.PADDING, data: new Uint8Array(missing) }]);
}

function joined(header: Header, chunks: readonly Chunk[]): Bytes {
  const parts: Uint8Array[] = [
    MAGIC, Uint8Array.of(VERSION), packVarint(header.width), packVarint(header.height),
    packVarint((header.flags << 4) | header.mode), Uint8Array.of(header.quality), header.entropyId, header.modelId,
    packInteger(header.symbolCrc, 4), packInteger(header.zCheck, 2),
  ];
  chunks.forEach(({ kind, data }, number) => {
    const last = number === chunks.length - 1 ? 2 : 0;
    parts.push(packVarint((kind << 2) | last | (REQUIRED.has(kind) ? 1 : 0)));
    parts.push(packVarint(data.length), packInteger(crc32(data), 4));
  });
  const head = concat(parts);
  return concat([head, packInteger(crc32(head), 4), ...chunks.map((chunk) => chunk.data)]);
}

interface Row {
  kind: number;
  required: boolean;
  length: number;
  crc: number;
}

/** Parse and check a whole file. FormatError for everything that is wrong, but for a damaged optional chunk. */
export function readContainer(data: Uint8Array): Container {
  const { header, rows, body } = readHead(data.subarray(0, MAX_HEADER_BYTES));
  const end = rows.reduce((offset, row) => offset + row.length, body);
  const least = smallestFile(header.width, header.height);
  if (end < least) {
    throw new FormatError(
      `the header claims ${header.width} x ${header.height} pixels, which take at least ${least} bytes, in a file of `
        + `${end}; ${COPY_AGAIN}`,
    );
  }
  if (end < data.length) {
    throw new FormatError(`${data.length - end} bytes follow the last chunk, which ends at byte ${end}; ${COPY_AGAIN}`);
  }
  const container: Container = { header, chunks: [], lost: [] };
  let offset = body;
  for (const { kind, required, length, crc } of rows) {
    const start = offset;
    offset += length;
    const name = chunkName(kind);
    if (offset > data.length) {
      throw new FormatError(
        `the file is truncated at byte ${data.length}: ${name} takes bytes ${start}..${offset}; ${COPY_AGAIN}`,
      );
    }
    const piece = data.slice(start, offset);
    if (crc32(piece) === crc) {
      container.chunks.push({ kind, data: piece });
      continue;
    }
    const reason = `its checksum is wrong (bytes ${start}..${offset})`;
    if (required) throw new FormatError(`${name} is damaged: ${reason}; ${COPY_AGAIN}`);
    container.lost.push({ kind, name, reason });
  }
  return container;
}

function readHead(view: Uint8Array): { header: Header; rows: Row[]; body: number } {
  if (!view.length) throw new FormatError(`the file is empty; ${COPY_AGAIN}`);
  const start = view.subarray(0, 4);
  if (start.some((byte, i) => byte !== MAGIC[i])) {
    throw new FormatError(
      `this is not a .semc file: it begins with ${hex(start, " ")}, expected ${hex(MAGIC, " ")}; open a file that this `
        + "page or semcomp has written",
    );
  }
  const cursor = new Cursor(view, "its header", MAGIC.length);
  const version = cursor.u8("the format version");
  if (version !== VERSION) {
    throw new FormatError(`the file has format version ${version}, this page reads version ${VERSION}; use a newer page`);
  }
  const width = cursor.varint();
  const height = cursor.varint();
  const modeAndFlags = cursor.varint();
  const quality = cursor.u8("the quality");
  const entropyId = cursor.take(8, "the entropy id").slice();
  const modelId = cursor.take(8, "the model id").slice();
  const symbolCrc = cursor.u32("the checksum of the symbols");
  const zCheck = cursor.u16("the check of z");
  const rows = readRows(cursor);
  const tableEnd = cursor.offset;
  if (crc32(view.subarray(0, tableEnd)) !== cursor.u32("the checksum of the header")) {
    throw new FormatError(`the header is damaged: its checksum (byte ${tableEnd}) is wrong; ${COPY_AGAIN}`);
  }
  const header: Header = {
    width, height, mode: modeAndFlags % 16, flags: Math.floor(modeAndFlags / 16), quality, entropyId, modelId, symbolCrc,
    zCheck,
  };
  checkHeader(header);
  checkRows(rows);
  return { header, rows, body: cursor.offset };
}

function readRows(cursor: Cursor): Row[] {
  const rows: Row[] = [];
  for (;;) {
    if (rows.length === MAX_CHUNKS) {
      throw new FormatError(`the file has more than ${MAX_CHUNKS} chunks; ${COPY_AGAIN}`);
    }
    const tag = cursor.varint();
    const length = cursor.varint();
    const crc = cursor.u32("the checksum of a chunk");
    rows.push({ kind: Math.floor(tag / 4), required: tag % 2 === 1, length, crc });
    if (Math.floor(tag / 2) % 2 === 1) return rows;
  }
}

function checkHeader({ width, height, mode, flags, quality }: Header): void {
  const limits: [string, number, number, number][] = [
    ["width", width, 1, MAX_SIDE], ["height", height, 1, MAX_SIDE], ["mode", mode, 0, 1],
    ["flags", flags, 0, 4095], ["quality", quality, 1, 100],
  ];
  for (const [name, value, low, high] of limits) {
    if (value < low || value > high) {
      throw new FormatError(`the header is not valid: ${name} is ${value}, expected ${low}..${high}; ${ENCODE_AGAIN}`);
    }
  }
  if (width * height > MAX_PIXELS) {
    throw new FormatError(`the picture is ${width} x ${height} pixels, above the limit of ${MAX_PIXELS}`);
  }
}

function checkRows(rows: readonly Row[]): void {
  const seen = new Set<number>();
  for (const { kind, required } of rows) {
    if (seen.has(kind)) throw new FormatError(`chunk kind ${kind} stands twice in the file; ${ENCODE_AGAIN}`);
    if (kind < 1 || kind > 4095) throw new FormatError(`chunk kind is ${kind}, expected 1..4095; ${ENCODE_AGAIN}`);
    seen.add(kind);
    if (required && !NAMES.has(kind)) {
      throw new FormatError(`the file needs ${chunkName(kind)}, which this page does not know; use a newer page`);
    }
    if (!required && REQUIRED.has(kind)) {
      throw new FormatError(`${chunkName(kind)} is marked as optional in the file; ${ENCODE_AGAIN}`);
    }
  }
  if (!seen.has(Kind.SYMBOLS) && !seen.has(Kind.LOSSLESS)) throw new FormatError(`the file has no SYMBOLS chunk; ${ENCODE_AGAIN}`);
  if (seen.has(Kind.REGIONS) && !seen.has(Kind.GENERATOR)) {
    throw new FormatError(`the file keeps regions and names no generator for the rest; ${ENCODE_AGAIN}`);
  }
}
