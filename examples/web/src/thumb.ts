// Thumbnails alone, for pages that show a blur-up before a photo arrives: dist/thumb.js, 10 KB, and
// thumbs.safetensors, 116 KB.
//
//     const tables = readThumbTables(new Uint8Array(await (await fetch("thumbs.safetensors")).arrayBuffer()))
//     drawThumb(canvas, "AOSLCChfoBoK0oLwiCjdYs7DaoI-Ca-RdpHGnpmsSWc", tables)      // what `semcomp thumb` printed
import { decodeThumb, thumbFromText } from "./core/thumb.ts";
import type { ThumbTables } from "./core/thumbtables.ts";

export { decodeThumb, thumbFromText, type Thumb } from "./core/thumb.ts";
export { readThumbTables, type ThumbTables } from "./core/thumbtables.ts";

/** Draws a code or its text on a canvas of the code's aspect ratio; `longest` is its longer side in pixels. */
export function drawThumb(
  canvas: HTMLCanvasElement, code: Uint8Array | string, tables: ThumbTables, longest = 32,
): void {
  const { rgba, ratio } = decodeThumb(typeof code === "string" ? thumbFromText(code) : code, tables);
  const small = document.createElement("canvas");
  small.width = small.height = 32;
  small.getContext("2d")?.putImageData(new ImageData(rgba, 32, 32), 0, 0);
  const scale = longest / Math.max(...ratio);
  canvas.width = Math.max(1, Math.round(ratio[0] * scale));
  canvas.height = Math.max(1, Math.round(ratio[1] * scale));
  const context = canvas.getContext("2d");
  if (!context) return;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}
