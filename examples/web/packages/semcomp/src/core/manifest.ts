// What a folder of exported graphs says about itself.
import type { HeadFacts } from "../types.ts";
import { ModelError } from "./errors.ts";
import { type Limits, limitsOf } from "./limits.ts";

const FORMAT = "semcomp-edge-2";
/** Versions whose graphs this client no longer runs. */
const EARLIER = ["semcomp-edge-1"];

export interface StoredFile {
  file: string;
  bytes: number;
  sha256: string;
}

export interface Graph extends StoredFile {
  /** How far the output sees, in positions of the input. */
  reach: number;
  /** Channels of each input of shape (1, C, rows, columns). */
  channels: Map<string, number>;
}

export interface GeneratorFacts {
  name: string;
  graph: string;
  /** Hex, 16 digits. */
  id: string;
  classes: string[];
}

/** How a head reads latents, and when it keeps quiet. */
interface Reading {
  graph: string;
  limits: Limits;
  /** Shorter side of a picture in pixels from which it reads latents of the half; null for every picture as it is. */
  halvedFrom: number | null;
}

export interface Manifest {
  name: string;
  entropyId: string;
  modelId: string;
  latents: number;
  hyper: number;
  nodes: number;
  skipBelow: number;
  /** Passes of y, 2 or 4. */
  passes: number;
  /** Whether the integers of a pass refine the tables of the next. */
  refined: boolean;
  /** Whether symbols decode towards the centroid of their interval. */
  centroid: boolean;
  tables: StoredFile;
  graphs: Map<string, Graph>;
  heads: Map<string, HeadFacts & Reading>;
  generators: Map<string, GeneratorFacts>;
  /** CRC-32 of what graphs that decide bits give for extreme values. */
  products: Map<string, number>;
  /** The networks of exact pixels, null where they were not exported; `id` is hex, 16 digits. */
  lossless: (StoredFile & { id: string }) | null;
  /** The restorer of JPEG files, null where none was exported; `id` is hex, 16 digits. */
  restorer: (StoredFile & { id: string }) | null;
}

/** The manifest of JSON text. ModelError where it is damaged or of another version. */
export function parseManifest(text: string): Manifest {
  try {
    const json = JSON.parse(text);
    if (EARLIER.includes(json.format)) {
      throw new Error(`an earlier version of semcomp wrote it, ${json.format}; this client reads ${FORMAT}`);
    }
    if (json.format !== FORMAT) throw new Error(`its format is ${json.format}, not ${FORMAT}`);
    for (const key of ["entropy_id", "model_id"]) {
      if (!/^[0-9a-f]{16}$/.test(json[key])) throw new Error(`its ${key} is ${json[key]}`);
    }
    const { latents, hyper, nodes, skip_below: skipBelow, passes, refined, centroid } = json.sizes;
    if (![latents, hyper, nodes, skipBelow].every(Number.isInteger)) throw new Error("a size is no number");
    if (passes !== (refined ? 4 : 2)) throw new Error(`it has ${passes} passes`);
    return {
      name: String(json.name), entropyId: json.entropy_id, modelId: json.model_id, latents, hyper, nodes, skipBelow,
      passes, refined: Boolean(refined), centroid: Boolean(centroid),
      tables: stored(json.tables),
      graphs: new Map(
        [...Object.entries<any>(json.graphs), ...(json.restorer ? [["restorer", json.restorer] as const] : [])]
          .map(([name, graph]) => [name, graphOf(graph)]),
      ),
      heads: new Map(Object.entries<any>(json.heads).map(([name, head]) => [name, { name, ...headOf(head) }])),
      generators: new Map(
        Object.entries<any>(json.generators ?? {}).map(([name, entry]) => [name, { name, ...generatorOf(entry) }]),
      ),
      products: new Map(Object.entries<any>(json.products ?? {}).map(([name, crc]) => [name, Number(crc)])),
      lossless: json.lossless ? { ...stored(json.lossless), id: String(json.lossless.id) } : null,
      restorer: json.restorer ? { ...stored(json.restorer), id: String(json.restorer.id) } : null,
    };
  } catch (error) {
    throw new ModelError(
      `the manifest of the graphs is damaged or of another version (${(error as Error).message}); write the folder `
        + "again with semcomp export onnx",
    );
  }
}

function stored(entry: any): StoredFile {
  const { file, bytes, sha256 } = entry;
  if (!/^[\w-][\w.-]*$/.test(file) || !/^[0-9a-f]{64}$/.test(sha256) || !Number.isInteger(bytes)) {
    throw new Error(`it names a file ${JSON.stringify(file)}`);
  }
  return { file, bytes, sha256 };
}

function graphOf(entry: any): Graph {
  const inputs: any[] = entry.inputs ?? [];
  const channels = new Map(inputs.filter(({ shape }) => shape.length === 4).map(({ name, shape }) => [name, shape[1]]));
  return { ...stored(entry), reach: Number(entry.reach), channels };
}

function generatorOf({ graph, id, classes }: any): Omit<GeneratorFacts, "name"> {
  if (!/^[0-9a-f]{16}$/.test(id)) throw new Error(`a generator's id is ${id}`);
  return { graph: String(graph), id, classes: classes.map(String) };
}

function headOf(entry: any): Omit<HeadFacts, "name"> & Reading {
  if (!["classify", "segment"].includes(entry.task)) throw new Error(`a head's task is ${entry.task}`);
  const classes: string[] = entry.classes.map(String);
  const limits = limitsOf(entry.limits, classes);
  const { task, palette } = entry;
  const halvedFrom = entry.halved_from ? Number(entry.halved_from) : null;
  return { graph: String(entry.graph), task, classes, palette, limits, halvedFrom, experimental: limits.experimental };
}
