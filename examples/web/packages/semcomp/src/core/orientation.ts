// Which way up a JPEG file is, by its EXIF record, and its pixels the right way up.
import type { JpegFile } from "./jpeg.ts";

const APP1 = 0xe1;
const ORIENTATION = 0x0112;
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const PREFIX = [0x45, 0x78, 0x69, 0x66, 0, 0]; // Exif

/** The orientation, 1 to 8, that EXIF names, else XMP; 1 where neither does. */
export function orientationOf(file: JpegFile): number {
  return inExif(file) ?? inXmp(file) ?? 1;
}

function inXmp({ records }: JpegFile): number | null {
  for (const { marker, payload } of records) {
    const text = marker === APP1 ? new TextDecoder("latin1").decode(payload) : "";
    if (!text.startsWith(XMP)) continue;
    const found = /tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])/.exec(text);
    return found ? Number(found[1]) : null;
  }
  return null;
}

function inExif({ records }: JpegFile): number | null {
  const record = records.find(({ marker, payload }) => marker === APP1 && PREFIX.every((byte, i) => payload[i] === byte));
  if (!record) return null;
  const tiff = record.payload.slice(PREFIX.length);
  const view = new DataView(tiff.buffer);
  try {
    const little = view.getUint16(0) === 0x4949;
    const directory = view.getUint32(4, little);
    for (let entry = 0; entry < view.getUint16(directory, little); entry++) {
      const at = directory + 2 + 12 * entry;
      if (view.getUint16(at, little) !== ORIENTATION) continue;
      const value = view.getUint16(at + 8, little);
      return value >= 1 && value <= 8 ? value : null;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return null;
}

/** R, G, B, A pixels turned as an orientation says. */
export function upright(
  rgba: Uint8ClampedArray<ArrayBuffer>, width: number, height: number, orientation: number,
): { rgba: Uint8ClampedArray<ArrayBuffer>; width: number; height: number } {
  if (orientation === 1) return { rgba, width, height };
  const turned = orientation >= 5;
  const [wide, tall] = turned ? [height, width] : [width, height];
  const flipX = [2, 3, 7, 8].includes(orientation); // of the stored picture's columns
  const flipY = [3, 4, 6, 7].includes(orientation);
  const from = new Uint32Array(rgba.buffer);
  const out = new Uint32Array(wide * tall);
  for (let y = 0; y < tall; y++) {
    for (let x = 0; x < wide; x++) {
      const [column, row] = turned ? [y, x] : [x, y];
      const [u, v] = [flipX ? width - 1 - column : column, flipY ? height - 1 - row : row];
      out[y * wide + x] = from[v * width + u]!;
    }
  }
  return { rgba: new Uint8ClampedArray(out.buffer), width: wide, height: tall };
}
