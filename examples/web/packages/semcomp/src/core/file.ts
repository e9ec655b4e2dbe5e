// Between symbols and a file: its checks, what it says of itself, and the chunks of one that keeps a part.
import type { FileFacts } from "../types.ts";
import { crc32, fromHex, hex, packInteger } from "./bytes.ts";
import type { Symbols } from "./coder.ts";
import { type Container, type Header, Kind, SYNTHESISED, chunkName, chunkOf } from "./container.ts";
import { FormatError, ModelError } from "./errors.ts";
import { countKept, unpackKeep } from "./keepmask.ts";
import type { GeneratorFacts, Manifest } from "./manifest.ts";
import { readLosslessHead } from "./lossless.ts";
import { type GeneratorNote, unpackGenerator, unpackTags } from "./notes.ts";
import { symbolCrc } from "./symbolstream.ts";

/** Heads whose label maps have a generator of their own. */
const GENERATORS: Record<string, string> = { street: "street" };
const ANY_GENERATOR = "photos";

/** The name of the generator that completes what a file leaves out. */
export function generatorFor(head: string | null): string {
  return (head && GENERATORS[head]) || ANY_GENERATOR;
}

/** The header of symbols, with their checks. */
export function headerOf(
  manifest: Manifest, symbols: Symbols, keep: Uint8Array | null,
  { width, height, mode, quality }: { width: number; height: number; mode: number; quality: number },
): Header {
  const header: Header = {
    width, height, mode, quality, flags: keep ? SYNTHESISED : 0, entropyId: fromHex(manifest.entropyId),
    modelId: fromHex(manifest.modelId), symbolCrc: 0, zCheck: 0,
  };
  const { whole, z } = checksOf(header, keep, symbols.z, symbols.y);
  return { ...header, symbolCrc: whole, zCheck: z };
}

/** The checksum of the symbols, and the 16 bits of that of z, tied to what else decides the picture. */
export function checksOf(
  header: Header, keep: Uint8Array | null, z: Int16Array, y: Int16Array,
): { whole: number; z: number } {
  const ofZ = symbolCrc(z);
  return { whole: tied(header, keep, symbolCrc(y, ofZ)), z: tied(header, keep, ofZ) & 0xffff };
}

/** The check of z alone. */
export function checkOfZ(header: Header, keep: Uint8Array | null, z: Int16Array): number {
  return tied(header, keep, symbolCrc(z)) & 0xffff;
}

function tied({ width, height, flags, mode, quality }: Header, keep: Uint8Array | null, crc: number): number {
  for (const value of [width, height, (flags << 4) | mode]) crc = crc32(packInteger(value, 4), crc);
  crc = crc32(Uint8Array.of(quality), crc);
  if (!keep) return crc;
  const bits = new Uint8Array(Math.ceil(keep.length / 8));
  keep.forEach((kept, i) => {
    if (kept) bits[i >> 3]! |= 0x80 >> (i & 7);
  });
  return crc32(bits, crc);
}

/** The positions that a file stores, null for all. FormatError where they are damaged. */
export function keepOf(container: Container): Uint8Array<ArrayBuffer> | null {
  const body = chunkOf(container, Kind.REGIONS);
  return body && unpackKeep(body, container.header.width, container.header.height);
}

/** ModelError for a file that these tables cannot read. */
export function checkModel(container: Container, manifest: Manifest): void {
  const { header } = container;
  if (!chunkOf(container, Kind.SYMBOLS)) return;
  const id = hex(header.entropyId);
  if (id !== manifest.entropyId) {
    throw new ModelError(
      `the file needs a codec with entropy id ${id}, this page has ${manifest.name} with ${manifest.entropyId}; open it `
        + "with the codec that wrote it",
    );
  }
}

/** FormatError for symbols that are not those that were written. */
export function verify(matches: boolean, what: string): void {
  if (!matches) {
    throw new FormatError(
      `the ${what} do not match their checksum: the file is damaged, or was not decoded exactly; copy the file again`,
    );
  }
}

/** What a file says of itself. Without a manifest there is no word on who can decode it. */
export function factsOf(
  container: Container, bytes: number, keep: Uint8Array | null, manifest: Manifest | null,
): FileFacts {
  const { header, chunks, lost } = container;
  const { width, height, quality } = header;
  const warnings = lost.map(({ name, reason }) => `${name} is lost: ${reason}`);
  const modelId = hex(header.modelId);
  const hasLatents = chunkOf(container, Kind.SYMBOLS) !== null;
  const pixels = chunkOf(container, Kind.LOSSLESS);
  if (manifest && !pixels && modelId !== manifest.modelId) {
    warnings.push(
      `this file was made for model ${modelId}, this page has ${manifest.modelId}: the picture will differ a little from `
        + "what its maker saw",
    );
  }
  const note = generatorOf(container);
  const known = note && manifest?.generators.get(note.name);
  if (known && known.id !== note.id) {
    warnings.push(
      `this file was made for the generator ${note.name} ${note.id}, this page has ${known.id}: what is synthesised will `
        + "differ",
    );
  }
  const tags = readTags(container, warnings);
  return {
    width, height, quality, bytes, bpp: (8 * bytes) / (width * height), mode: header.mode ? "L" : "RGB",
    entropyId: hex(header.entropyId), modelId, codecName: manifest?.name ?? null,
    chunks: chunks.map(({ kind, data }) => ({ name: chunkName(kind), bytes: data.length })),
    storedLabels: tags?.labels ?? [], labelsSource: tags?.source ?? null, labelsAreAreas: tags?.areas ?? false,
    hasStoredMap: chunkOf(container, Kind.LABEL_MAP) !== null, hasAlpha: chunkOf(container, Kind.ALPHA) !== null,
    exact: pixels && exactOf(pixels), hasLatents,
    synthesised: (header.flags & SYNTHESISED) !== 0, generator: note && note.name,
    completion: known ? known.name : null,
    kept: keep && countKept(keep) / keep.length, keepMask: keep && keep.slice(), warnings,
  };
}

function exactOf(body: Uint8Array): FileFacts["exact"] {
  const { bits, near } = readLosslessHead(body);
  return { bits, near };
}

/** The generator that a file was made for, null where it names none. */
export function generatorOf(container: Container): GeneratorNote | null {
  const body = chunkOf(container, Kind.GENERATOR);
  return body && unpackGenerator(body);
}

/** One sentence for the metadata of a picture that a generator completed, as the library has it. */
export function noteOf(note: GeneratorNote, { name, id }: GeneratorFacts, keep: Uint8Array | null): string {
  const made = `synthesised by the generator ${name} (${id})${note.guided ? ", guided by the stored label map" : ""}`;
  if (!keep) return `Not a plain photograph: the whole picture, ${made}. Real: nothing is kept as it was.`;
  const share = (100 * countKept(keep)) / keep.length;
  return `Not a plain photograph: the rest, ${made}. Real: ${share.toFixed(1)} % of the picture, in 16x16 positions.`;
}

function readTags(container: Container, warnings: string[]): ReturnType<typeof unpackTags> | null {
  const body = chunkOf(container, Kind.TAGS);
  if (!body) return null;
  try {
    return unpackTags(body);
  } catch (error) {
    warnings.push((error as Error).message); // damage to labels costs the labels, never the picture
    return null;
  }
}
