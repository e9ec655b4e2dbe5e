// A photo from a file to pixels and back, by the browser's own decoders.

import { SemcompError } from "semcomp";
import { addText } from "../../packages/semcomp/src/core/png.ts";
import { POSITION } from "./mask";
import { dimensions, size, thousands } from "./words";

/** A photo upright, in sRGB. */
export interface Photo {
  name: string;
  /** Of the file it came in. */
  fileBytes: number;
  pixels: ImageData;
}

const MAGIC = [0x89, 0x53, 0x4d, 0x43];
const UNREADABLE =
  "this browser cannot read it as a picture. Save it as PNG, JPEG or WebP and open that, or choose a .semc file";

/** Whether a file is meant to be a `.semc` file, by its first bytes or its name. */
export function isSemc(name: string, bytes: Uint8Array): boolean {
  return MAGIC.every((value, at) => bytes[at] === value) || /\.semc$/i.test(name);
}

/**
 * Pixels of a photo, turned as its EXIF orientation says. SemcompError for one that the browser cannot read, and for
 * one of more than `maxPixels`, before its pixels are decoded.
 */
export async function readPhoto(blob: Blob, name: string, maxPixels: number): Promise<Photo> {
  const { width, height } = await measure(blob, name);
  if (width * height > maxPixels) {
    const megapixels = (count: number) => `${(count / 1e6).toFixed(1)} megapixels`;
    throw new SemcompError("memory",
      `${name} has ${dimensions(width, height)} pixels, ${megapixels(width * height)}; this page takes at most `
      + `${megapixels(maxPixels)}. Make it smaller, or use the command line: semcomp encode`);
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", premultiplyAlpha: "none" });
  } catch {
    bitmap = await draw(blob, name);
  }
  const context = canvas(bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
  bitmap.close();
  return { name, fileBytes: blob.size, pixels };
}

/** Width and height of a picture, from its header alone. */
async function measure(blob: Blob, name: string): Promise<{ width: number; height: number }> {
  const image = await load(blob, name);
  return { width: image.naturalWidth, height: image.naturalHeight };
}

/** For what createImageBitmap leaves out, SVG for one. */
async function draw(blob: Blob, name: string): Promise<ImageBitmap> {
  return createImageBitmap(await load(blob, name)).catch(() => {
    throw new SemcompError("image", `${name}: ${UNREADABLE}`);
  });
}

function load(blob: Blob, name: string): Promise<HTMLImageElement> {
  return new Promise((resolve, reject) => {
    const image = new Image();
    const url = URL.createObjectURL(blob);
    const done = (answer: () => void) => {
      URL.revokeObjectURL(url);
      answer();
    };
    const refuse = () => done(() => reject(new SemcompError("image", `${name} (${size(blob.size)}): ${UNREADABLE}`)));
    image.onload = () => (image.naturalWidth ? done(() => resolve(image)) : refuse());
    image.onerror = refuse;
    image.src = url;
  });
}

/** A canvas for pixels that are read back, so kept in memory that is not the graphics card's. */
export function canvas(width: number, height: number): CanvasRenderingContext2D {
  const element = document.createElement("canvas");
  element.width = width;
  element.height = height;
  const context = element.getContext("2d", { willReadFrequently: true });
  if (!context) {
    throw new SemcompError("memory", `this browser has no room for ${thousands(width * height)} pixels; close other `
      + "tabs, or make the picture smaller");
  }
  return context;
}

/** The PNG file of pixels; `synthesised` goes into its metadata under that name, where it says something. */
export async function toPng(pixels: ImageData, synthesised: string): Promise<Blob> {
  const context = canvas(pixels.width, pixels.height);
  context.putImageData(pixels, 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => context.canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new SemcompError("memory", "this browser has no room to write the PNG; close other tabs and try again");
  if (!synthesised) return blob;
  const bytes = addText(new Uint8Array(await blob.arrayBuffer()), "synthesised", synthesised);
  return new Blob([bytes], { type: "image/png" });
}

/**
 * Peak signal-to-noise ratio in dB over R, G and B of two pictures of one size; where `stored` is given, over the 16x16
 * positions that it marks alone. Infinity for equal ones.
 */
export function psnr(a: ImageData, b: ImageData, stored: Uint8Array | null): number {
  const { width, height } = a;
  const columns = Math.ceil(width / POSITION);
  let sum = 0;
  let count = 0;
  for (let row = 0, at = 0; row < height; row++) {
    const grid = Math.floor(row / POSITION) * columns;
    for (let column = 0; column < width; column++, at += 4) {
      if (stored && !stored[grid + Math.floor(column / POSITION)]) continue;
      const r = a.data[at]! - b.data[at]!;
      const g = a.data[at + 1]! - b.data[at + 1]!;
      const blue = a.data[at + 2]! - b.data[at + 2]!;
      sum += r * r + g * g + blue * blue;
      count += 3;
    }
  }
  return 10 * Math.log10((255 * 255 * count) / sum);
}

/** Makes the positions transparent that a file does not store, 16x16 pixels each. */
export function clear(picture: ImageData, stored: Uint8Array): void {
  const columns = Math.ceil(picture.width / POSITION);
  for (let y = 0, at = 3; y < picture.height; y++) {
    const row = Math.floor(y / POSITION) * columns;
    for (let x = 0; x < picture.width; x++, at += 4) {
      if (!stored[row + Math.floor(x / POSITION)]) picture.data[at] = 0;
    }
  }
}

/** Hands a file to the browser's downloads. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  const url = URL.createObjectURL(blob);
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
