// Bytes and pixels from everything that a page may hold them in.
import { STRIDE_Y } from "./core/coder.ts";
import { ImageError } from "./core/errors.ts";
import { SemcompError } from "./types.ts";

/** A .semc file: its address, an answer of fetch, or its bytes. */
export type Source = string | URL | Response | Blob | ArrayBuffer | Uint8Array;

/** The bytes of a file. SemcompError where it cannot be loaded. */
export async function bytesOf(source: Source, signal?: AbortSignal): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  const response = source instanceof Response ? source : await load(String(source), signal);
  if (!response.ok) {
    throw new SemcompError("network", `${response.url || "the file"} could not be loaded: the server answered ${response.status}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

async function load(address: string, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(address, { signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new SemcompError("network", `${address} could not be loaded (${(error as Error).message})`);
  }
}

/** The pixels of a picture as a browser shows it: upright, in sRGB. ImageError where it shows none. */
export async function pixelsOf(source: ImageData | Blob | CanvasImageSource): Promise<ImageData> {
  if (source instanceof ImageData) return source;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(source, { imageOrientation: "from-image", premultiplyAlpha: "none" });
  } catch (error) {
    throw new ImageError(`this browser cannot read the picture (${(error as Error).message}); give PNG, JPEG or WebP`);
  }
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
  bitmap.close();
  return pixels;
}

/** Makes transparent what a file does not store, by its mask of 16x16 positions. */
export function clearMissing({ data, width, height }: ImageData, keepMask: Uint8Array): void {
  const columns = Math.ceil(width / STRIDE_Y);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (keepMask[Math.floor(y / STRIDE_Y) * columns + Math.floor(x / STRIDE_Y)]) continue;
      data.fill(0, 4 * (y * width + x), 4 * (y * width + x) + 4);
    }
  }
}
