// Thumbnails alone, for pages that show a blur-up before a photo arrives: dist/thumb.js, 10 KB, and
// dist/thumbs.safetensors, 116 KB.
//
//     drawThumb(canvas, "AOSLCChfBoK0oLwiCjdYs7DaoI-Ca-RdpHGnpmsSWc", await loadThumbTables())   // of `semcomp thumb`
import { chunkOf, Kind, readContainer } from "./core/container.ts";
import { decodeThumb, sizeWithin, thumbFromText } from "./core/thumb.ts";
import { readThumbTables, type ThumbTables } from "./core/thumbtables.ts";

export { decodeThumb, thumbFromText, type Thumb } from "./core/thumb.ts";
export { readThumbTables, type ThumbTables } from "./core/thumbtables.ts";

const SIDE = 32;
let loading: Promise<ThumbTables> | null = null;

/** The tables, which are loaded once. Left out, `address` is the file beside this module. */
export function loadThumbTables(
  address: string | URL = new URL("./thumbs.safetensors", import.meta.url),
): Promise<ThumbTables> {
  loading ??= fetchTables(address).catch((error: unknown) => {
    loading = null; // the next call tries again
    throw error;
  });
  return loading;
}

async function fetchTables(address: string | URL): Promise<ThumbTables> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the tables of thumbnails are not at ${String(address)} (${answer.status})`);
  return readThumbTables(new Uint8Array(await answer.arrayBuffer()));
}

/** The thumbnail that a .semc file carries, 32x32 pixels that are to be stretched; null where it has none that is whole. */
export async function previewOf(bytes: Uint8Array): Promise<ImageData | null> {
  try {
    const code = chunkOf(readContainer(bytes), Kind.PREVIEW);
    return code && new ImageData(decodeThumb(code, await loadThumbTables()).rgba, SIDE, SIDE);
  } catch {
    return null; // whoever decodes the file hears what is wrong with it
  }
}

/** Draws a code or its text on a canvas of the code's aspect ratio; `longest` is its longer side in pixels. */
export function drawThumb(
  canvas: HTMLCanvasElement, code: Uint8Array | string, tables: ThumbTables, longest = SIDE,
): void {
  const { rgba, ratio } = decodeThumb(typeof code === "string" ? thumbFromText(code) : code, tables);
  drawStretched(canvas, new ImageData(rgba, SIDE, SIDE), ratio, longest);
}

/** Draws a small picture smoothly on a canvas of the given ratio, whose longer side has `longest` pixels. */
export function drawStretched(
  canvas: HTMLCanvasElement, picture: ImageData, ratio: readonly [number, number], longest: number,
): void {
  const small = document.createElement("canvas");
  small.width = picture.width;
  small.height = picture.height;
  small.getContext("2d")?.putImageData(picture, 0, 0);
  [canvas.width, canvas.height] = sizeWithin(ratio, longest);
  const context = canvas.getContext("2d");
  if (!context) return;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}
