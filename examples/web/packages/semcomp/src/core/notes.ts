// What a file says besides its picture: labels with scores, and the generator that completes it.
import { type Bytes, COPY_AGAIN, Cursor, concat, fromHex, hex, packInteger, packString, packVarint } from "./bytes.ts";
import { FormatError } from "./errors.ts";
import type { Label } from "../types.ts";

/** Version of the chunks; of tags whose scores are probabilities, and of tags whose scores are areas. */
const VERSION = 1;
const VERSION_OF_AREAS = 2;
const MAX_TAGS = 256;
const SCORE_ONE = 65535;
const STORED_LABELS = 16;
const LEAST_SCORE = 0.005;

export interface GeneratorNote {
  name: string;
  /** Hex, 16 digits. */
  id: string;
  /** Whether the stored label map is meant to guide it. */
  guided: boolean;
}

/** The labels that are worth storing: the best 16 of at least half a percent. */
export function worthStoring(labels: readonly Label[]): Label[] {
  return labels.slice(0, STORED_LABELS).filter((label) => label.score >= LEAST_SCORE);
}

/** The body of a TAGS chunk; `areas` says that the scores are shares of the image's area. */
export function packTags(labels: readonly Label[], source: string, areas = false): Bytes {
  const rows = labels.flatMap(({ name, score }) => [packString(name), packInteger(roundHalfEven(score * SCORE_ONE), 2)]);
  const version = areas ? VERSION_OF_AREAS : VERSION;
  return concat([Uint8Array.of(version), packString(source), packVarint(labels.length), ...rows]);
}

/** Inverse of `packTags`. FormatError for anything else. */
export function unpackTags(data: Uint8Array): { source: string; labels: Label[]; areas: boolean } {
  const cursor = new Cursor(data, "the labels");
  const areas = cursor.version(VERSION, VERSION_OF_AREAS) === VERSION_OF_AREAS;
  const source = cursor.string();
  const count = cursor.varint();
  if (count > MAX_TAGS) throw new FormatError(`the labels claim to be ${count}, at most ${MAX_TAGS}; ${COPY_AGAIN}`);
  const labels: Label[] = [];
  for (let number = 0; number < count; number++) {
    const name = cursor.string();
    if (!name || labels.some((label) => label.name === name)) {
      throw new FormatError(`label ${number} has no name, or one that stands twice; write the labels again`);
    }
    labels.push({ name, score: cursor.u16("a score") / SCORE_ONE });
  }
  cursor.end();
  return { source, labels, areas };
}

/** The body of a GENERATOR chunk. */
export function packGenerator({ name, id, guided }: GeneratorNote): Bytes {
  return concat([Uint8Array.of(VERSION), packString(name), fromHex(id), packVarint(guided ? 1 : 0)]);
}

/** Inverse of `packGenerator`. FormatError for anything else. */
export function unpackGenerator(data: Uint8Array): GeneratorNote {
  const cursor = new Cursor(data, "the generator's settings");
  cursor.version(VERSION);
  const name = cursor.string();
  const id = hex(cursor.take(8, "its id"));
  const flags = cursor.varint();
  if (flags > 1) throw new FormatError(`the generator's settings have flags ${flags}; use a newer page`);
  cursor.end();
  return { name, id, guided: flags === 1 };
}

/** The nearest integer, of two equally near ones the even: as numpy, Python and ONNX round. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 ? below + 1 : below;
}
