// What most pages need: one call each, on a worker that all of them share.
//
//     const { imageData } = await decode("photo.semc")
//     const { bytes } = await encode(await (await fetch("photo.jpg")).blob(), { quality: 50 })
//     const { labels } = await classify("photo.semc", { head: "imagenette" })
import { type CallOptions, Client } from "./client.ts";
import { readContainer } from "./core/container.ts";
import { ImageError } from "./core/errors.ts";
import { factsOf, keepOf } from "./core/file.ts";
import { type Source, clearMissing, pixelsOf, bytesOf } from "./sources.ts";
import type { ClientOptions, EncodeRequest, Encoded, FileFacts, Labels, Segmentation, Timings } from "./types.ts";

export interface DecodeOptions extends CallOptions {
  /** Shows only what the file stores: no generator completes it. */
  faithful?: boolean;
}

export interface Decoded {
  /** The picture. What the file does not store is transparent, unless a generator made it. */
  imageData: ImageData;
  facts: FileFacts;
  /** Says what a generator made, or "". */
  synthesised: string;
  /** Milliseconds of each step. */
  timings: Timings;
}

export interface EncodeOptions extends CallOptions, Partial<EncodeRequest> {}

export interface HeadOptions extends CallOptions {
  /** Name of the head. */
  head: string;
  /** Least probability of what the head says, 0 to 1, besides its own limits. */
  minConfidence?: number;
}

const QUALITY = 50;
let options: ClientOptions = {};
let shared: Client | null = null;

/** Says where the graphs and the worker are, and how many threads to use. Calls come too late once one has computed. */
export function configure(given: ClientOptions): void {
  if (shared) throw new Error("configure was called after the first picture; call it before, once for the page");
  options = { ...options, ...given };
}

/** The client of this module and of <semc-img>. It starts at the first call. */
export function sharedClient(): Client {
  return (shared ??= new Client(options));
}

/** Decodes a file. SemcompError where it is damaged or foreign, or cannot be loaded. */
export async function decode(source: Source, given: DecodeOptions = {}): Promise<Decoded> {
  const bytes = await bytesOf(source, given.signal);
  const { opened, picture } = await sharedClient().decodeFile(bytes, given.faithful ?? false, given);
  const imageData = new ImageData(picture.rgba, picture.width, picture.height);
  const { keepMask } = opened.facts;
  if (keepMask && !picture.synthesised) clearMissing(imageData, keepMask);
  const timings = { ...opened.timings, ...picture.timings, total: opened.timings.total + picture.timings.total };
  return { imageData, facts: opened.facts, synthesised: picture.synthesised, timings };
}

/** Encodes pixels, or a picture that the browser can draw, as it is seen: upright, in sRGB. */
export async function encode(
  source: ImageData | Blob | CanvasImageSource, { quality = QUALITY, keep, head, store, minConfidence, ...rest }: EncodeOptions = {},
): Promise<Encoded> {
  const pixels = await pixelsOf(source);
  return sharedClient().encodePhoto(pixels, { quality, keep, head, store, minConfidence }, rest);
}

/** What a file says of itself: size, quality, labels, warnings. It loads no network. */
export async function info(source: Source, { signal }: { signal?: AbortSignal } = {}): Promise<FileFacts> {
  const bytes = await bytesOf(source, signal);
  const container = readContainer(bytes);
  return factsOf(container, bytes.length, keepOf(container), null);
}

/** What a classifying head says of a file. The decoder does not run. */
export async function classify(source: Source, given: HeadOptions): Promise<Labels> {
  const answer = await recognise(source, given);
  if (answer.task !== "classify") throw new ImageError(`the head ${given.head} gives label maps; call segment`);
  return answer;
}

/** The label map that a segmenting head makes of a file. The decoder does not run. */
export async function segment(source: Source, given: HeadOptions): Promise<Segmentation> {
  const answer = await recognise(source, given);
  if (answer.task !== "segment") throw new ImageError(`the head ${given.head} gives labels; call classify`);
  return answer;
}

/** A JPEG file without the marks of compression. Every answer is a picture that the file could have been made of. */
export async function restore(
  source: Source, { strength = 1, ...given }: CallOptions & { strength?: number } = {},
): Promise<{ imageData: ImageData; damage: string }> {
  const bytes = await bytesOf(source, given.signal);
  const { rgba, width, height, damage } = await sharedClient().restore(bytes, strength, given);
  return { imageData: new ImageData(rgba, width, height), damage };
}

async function recognise(source: Source, given: HeadOptions): Promise<Labels | Segmentation> {
  const { head, minConfidence = 0, signal } = given;
  return sharedClient().recogniseFile(await bytesOf(source, signal), head, minConfidence, given);
}
