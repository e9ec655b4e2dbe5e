// R, G, B, A of pictures: what their channels hold, and what a file adds to them.
import { type Container, Kind, chunkOf } from "./container.ts";
import { unpackGrey } from "./png.ts";

/** Whether all pixels are grey, and the transparency where there is any. */
export function channelsOf(rgba: Uint8ClampedArray): { grey: boolean; alpha: Uint8Array | null } {
  let grey = true;
  let opaque = true;
  for (let i = 0; i < rgba.length && (grey || opaque); i += 4) {
    grey &&= rgba[i] === rgba[i + 1] && rgba[i] === rgba[i + 2];
    opaque &&= rgba[i + 3] === 255;
  }
  if (opaque) return { grey, alpha: null };
  const alpha = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < alpha.length; i++) alpha[i] = rgba[4 * i + 3]!;
  return { grey, alpha };
}

/** Enters the transparency of a file. */
export async function transparent(rgba: Uint8ClampedArray, container: Container): Promise<void> {
  const alpha = chunkOf(container, Kind.ALPHA);
  if (!alpha) return;
  const plane = await unpackGrey(alpha, container.header.width, container.header.height);
  plane.forEach((value, i) => (rgba[4 * i + 3] = value));
}

/** Of a grey picture the mean of the three channels is shown. */
export function greyed(rgba: Uint8ClampedArray): void {
  for (let i = 0; i < rgba.length; i += 4) {
    const mean = Math.floor((rgba[i]! + rgba[i + 1]! + rgba[i + 2]! + 1) / 3);
    rgba[i] = rgba[i + 1] = rgba[i + 2] = mean;
  }
}
