// Exact pixels on a page: the networks are graphs, and a browser unpacks what was stored as a drawing.
import type { Bundle, Progress } from "./bundle.ts";
import type { Bytes } from "./bytes.ts";
import { type Container, Kind, chunkOf } from "./container.ts";
import { FormatError, ModelError } from "./errors.ts";
import { type ExactPixels, decodeLossless } from "./lossless.ts";
import { type LosslessModel, NETWORKS, type Networks, parseLosslessModel } from "./losslesstables.ts";

const PREFIX = "lossless_";

/** Decodes the chunk LOSSLESS with the graphs of a folder. */
export class ExactDecoder {
  private model: LosslessModel | null = null;

  constructor(private readonly bundle: Bundle) {}

  /** Loads what decoding needs. ModelError where the folder has no lossless networks. */
  async need(progress: Progress): Promise<void> {
    await this.bundle.need(NETWORKS.map((name) => PREFIX + name), progress);
    const entry = this.entry();
    this.model ??= parseLosslessModel(await this.bundle.file(entry, () => {}));
  }

  /** The exact pixels of a file that has them. */
  async decode(container: Container, progress: Progress): Promise<ExactPixels> {
    await this.need(progress);
    const { width, height } = container.header;
    const networks: Networks = {
      run: async (name, features, cells) => {
        const inputs = { features: { data: features, dims: [features.length / cells, cells] } };
        const found = await this.bundle.run(PREFIX + name, null, inputs, ["outputs"], progress);
        return found.outputs!.data as Int32Array;
      },
    };
    const report = (share: number) => progress("exact", share);
    const body = chunkOf(container, Kind.LOSSLESS)!;
    const pixels = await decodeLossless(body, this.model!, this.entry().id, networks, drawn, report);
    if (pixels.width !== width || pixels.height !== height) {
      throw new FormatError("the exact pixels have another size than the header; encode the picture again");
    }
    return pixels;
  }

  private entry() {
    const entry = this.bundle.manifest.lossless;
    if (!entry) {
      throw new ModelError(
        "the folder of graphs has no lossless networks, which this file needs: export them too, with semcomp export onnx "
          + "--parts all",
      );
    }
    return entry;
  }
}

/** R, G, B, A of 8 bits. Of 16 bits the high ones are shown, and the file keeps all. */
export function shown({ width, height, channels, bits, samples }: ExactPixels): Uint8ClampedArray<ArrayBuffer> {
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) {
      rgba[4 * i + channel] = samples[channels * i + (channels === 3 ? channel : 0)]! >> (bits - 8);
    }
    rgba[4 * i + 3] = 255;
  }
  return rgba;
}

/** A WebP file around its lossless bitstream, which the file stores without the 20 bytes before it. */
function webpOf(bitstream: Uint8Array): Bytes {
  const even = bitstream.length + (bitstream.length % 2);
  const file = new Uint8Array(20 + even);
  const view = new DataView(file.buffer);
  const names: [number, string][] = [[0, "RIFF"], [8, "WEBP"], [12, "VP8L"]];
  for (const [at, name] of names) for (let i = 0; i < 4; i++) file[at + i] = name.charCodeAt(i);
  view.setUint32(4, 12 + even, true);
  view.setUint32(16, bitstream.length, true);
  file.set(bitstream, 20);
  return file;
}

/** The pixels of WebP's lossless bitstream. */
async function drawn(bitstream: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  let bitmap: ImageBitmap;
  try {
    const blob = new Blob([webpOf(bitstream)], { type: "image/webp" });
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    throw new FormatError(`the drawing in the file cannot be read (${(error as Error).message}); copy the file again`);
  }
  if (bitmap.width !== width || bitmap.height !== height) {
    throw new FormatError(`the drawing in the file is ${bitmap.width}x${bitmap.height}, not ${width}x${height}`);
  }
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) rgb[3 * i + c] = data[4 * i + c]!;
  return rgb;
}
