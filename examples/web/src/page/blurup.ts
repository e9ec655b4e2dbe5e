// The thumbnail that a .semc file carries, which is seen while the networks decode the file.
import { chunkOf, Kind, readContainer } from "../core/container";
import { decodeThumb } from "../core/thumb";
import { readThumbTables, type ThumbTables } from "../core/thumbtables";

const TABLES = "thumbs.safetensors";
let tables: Promise<ThumbTables | null> | null = null;

/** The tables are loaded once. A page without them shows no thumbnails, and nothing else is missing. */
async function load(): Promise<ThumbTables | null> {
  try {
    const answer = await fetch(TABLES);
    return answer.ok ? readThumbTables(new Uint8Array(await answer.arrayBuffer())) : null;
  } catch {
    return null;
  }
}

/** The thumbnail of a file, 32x32 pixels that are to be stretched; null where there is none or it is damaged. */
export async function previewOf(bytes: Uint8Array): Promise<ImageData | null> {
  try {
    const code = chunkOf(readContainer(bytes), Kind.PREVIEW);
    if (!code) return null;
    const found = await (tables ??= load());
    return found && new ImageData(decodeThumb(code, found).rgba, 32, 32);
  } catch {
    return null; // the file itself is opened beside this, and says what is wrong with it
  }
}
