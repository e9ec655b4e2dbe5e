// Transparency is stored as an 8-bit grey PNG: the few lines that write and read one, with the browser's own zlib.
import { type Bytes, COPY_AGAIN, concat, crc32 } from "./bytes.ts";
import { FormatError } from "./errors.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** An 8-bit grey PNG of a plane. */
export async function packGrey(plane: Uint8Array, width: number, height: number): Promise<Bytes> {
  const lines = new Uint8Array((width + 1) * height);
  for (let row = 0; row < height; row++) {
    const line = plane.subarray(row * width, (row + 1) * width);
    lines[row * (width + 1)] = 1; // filter: each byte as the difference from the one before
    for (let x = 0; x < width; x++) lines[row * (width + 1) + 1 + x] = line[x]! - (x ? line[x - 1]! : 0);
  }
  const packed = await through(new CompressionStream("deflate"), lines);
  return concat([SIGNATURE, piece("IHDR", header(width, height)), piece("IDAT", packed), piece("IEND", new Uint8Array())]);
}

/** Inverse of `packGrey`, for a PNG with any filters. FormatError for one of another size or kind. */
export async function unpackGrey(data: Uint8Array, width: number, height: number): Promise<Uint8Array<ArrayBuffer>> {
  const damaged = (why: string) => new FormatError(`the transparency of the file is damaged (${why}); ${COPY_AGAIN}`);
  if (SIGNATURE.some((byte, i) => data[i] !== byte)) throw damaged("it is no PNG");
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const bodies: Uint8Array[] = [];
  for (let offset = 8; offset < data.length; ) {
    if (offset + 12 > data.length) throw damaged("it is cut off");
    const length = view.getUint32(offset);
    const kind = String.fromCharCode(...data.subarray(offset + 4, offset + 8));
    if (offset + 12 + length > data.length) throw damaged("it is cut off");
    const body = data.subarray(offset + 8, offset + 8 + length);
    if ((kind === "IHDR") !== (offset === 8) || !["IHDR", "IDAT", "IEND"].includes(kind)) throw damaged(`a chunk ${kind}`);
    if (crc32(data.subarray(offset + 4, offset + 8 + length)) !== view.getUint32(offset + 8 + length)) {
      throw damaged(`the checksum of ${kind}`);
    }
    const expected = header(width, height);
    if (kind === "IHDR" && (body.length !== 13 || body.some((byte, i) => byte !== expected[i]))) {
      throw damaged(`it is not 8-bit grey of ${width} x ${height} pixels`);
    }
    if (kind === "IDAT") bodies.push(body);
    offset += 12 + length;
  }
  let lines: Uint8Array;
  try {
    lines = await through(new DecompressionStream("deflate"), concat(bodies), (width + 1) * height);
  } catch (error) {
    throw damaged((error as Error).message);
  }
  if (lines.length !== (width + 1) * height) throw damaged(`${lines.length} bytes of pixels`);
  const plane = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const filter = lines[row * (width + 1)]!;
    if (filter > 4) throw damaged(`filter ${filter}`);
    for (let x = 0; x < width; x++) {
      const at = row * width + x;
      const left = x ? plane[at - 1]! : 0;
      const up = row ? plane[at - width]! : 0;
      const corner = x && row ? plane[at - width - 1]! : 0;
      plane[at] = lines[at + row + 1]! + [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!;
    }
  }
  return plane;
}

/** A PNG with a text, Latin-1, below a name in its metadata. */
export function addText(png: Uint8Array, name: string, text: string): Bytes {
  const end = SIGNATURE.length + 25; // behind IHDR, which comes first
  const body = Uint8Array.from(`${name}\0${text}`, (letter) => letter.charCodeAt(0));
  return concat([png.subarray(0, end), piece("tEXt", body), png.subarray(end)]);
}

/** Of three neighbours the one that is nearest to left + up - corner, as PNG's filter 4 has it. */
function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function header(width: number, height: number): Uint8Array {
  const body = new Uint8Array(13);
  new DataView(body.buffer).setUint32(0, width);
  new DataView(body.buffer).setUint32(4, height);
  body[8] = 8; // bits; the rest, colour type 0 and the defaults, is 0
  return body;
}

function piece(kind: string, body: Uint8Array): Uint8Array {
  const named = concat([Uint8Array.from(kind, (letter) => letter.charCodeAt(0)), body]);
  const out = new Uint8Array(named.length + 8);
  new DataView(out.buffer).setUint32(0, body.length);
  out.set(named, 4);
  new DataView(out.buffer).setUint32(named.length + 4, crc32(named));
  return out;
}

async function through(
  stream: { readable: ReadableStream<Uint8Array<ArrayBuffer>>; writable: WritableStream<BufferSource> }, data: Bytes,
  most = Infinity,
): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const writer = stream.writable.getWriter();
  const written = writer.write(data).then(() => writer.close());
  written.catch(() => {}); // the reader hears of it too
  const reader = stream.readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (bytes > most) throw new Error("more pixels than the header says");
    parts.push(value);
  }
  await written;
  return concat(parts);
}
