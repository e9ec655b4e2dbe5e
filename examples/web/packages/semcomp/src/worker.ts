// The worker: takes calls off a queue, one at a time, and answers each with its value or a sentence that says what failed.
import { type Call, type EncodeRequest, type Reply, type Request, SemcompError, type Step } from "./types.ts";
import { Bundle, engineError, fetchFrom } from "./core/bundle.ts";
import { hasSimd, prepare, startSession } from "./core/engine.ts";
import { ModelError } from "./core/errors.ts";
import { maxPixels } from "./core/memory.ts";
import { Workspace } from "./core/workspace.ts";

let workspace: Promise<Workspace> | null = null;
let threads = 1;
let queue: Promise<void> = Promise.resolve();
const cancelled = new Set<number>();

/** Opens the folder of graphs; a later `ready` tries again where that failed. */
function opened(graphs: string): Promise<Workspace> {
  threads = prepare(wanted);
  const { deviceMemory } = navigator as { deviceMemory?: number };
  return Bundle.open(fetchFrom(graphs), startSession).then((bundle) => new Workspace(bundle, maxPixels(deviceMemory)));
}

let folder = "";
/** Threads that the page asks for; null where it leaves them to this worker. */
let wanted: number | null = null;

async function answer(call: string, args: unknown[], progress: (step: Step, share: number) => void): Promise<unknown> {
  if (call === "start") {
    folder = args[0] as string;
    wanted = args[1] as number | null;
    return null;
  }
  workspace ??= opened(folder);
  let space: Workspace;
  try {
    space = await workspace;
  } catch (error) {
    workspace = null;
    throw error;
  }
  switch (call) {
    case "ready":
      if (!hasSimd()) throw new ModelError("this browser's WebAssembly has no SIMD; use a newer browser");
      return space.facts(threads, true);
    case "openPhoto":
      return space.openPhoto(args[0] as Uint8ClampedArray, args[1] as number, args[2] as number, progress);
    case "encode":
      return space.encode(args[0] as EncodeRequest, progress);
    case "openFile":
      return space.openFile(args[0] as Uint8Array, progress);
    case "decode":
      return space.decode(args[0] as boolean, progress);
    case "recognise":
      return space.recognise(args[0] as string, progress, args[1] as number);
    case "restore":
      return space.restore(args[0] as Uint8Array, args[1] as number, progress);
    case "storedMap":
      return space.storedMap(progress);
    case "symbols":
      return space.symbols();
    case "decodeFile": {
      const found = await space.openFile(args[0] as Uint8Array, progress);
      return { opened: found, picture: await space.decode(args[1] as boolean, progress) };
    }
    case "encodePhoto":
      await space.openPhoto(args[0] as Uint8ClampedArray, args[1] as number, args[2] as number, progress);
      return space.encode(args[3] as EncodeRequest, progress);
    case "recogniseFile":
      await space.openFile(args[0] as Uint8Array, progress);
      return space.recognise(args[1] as string, progress, args[2] as number);
    default:
      throw new ModelError(`the worker knows no call ${call}; reload the page`);
  }
}

async function serve({ id, call, args }: Call): Promise<void> {
  if (cancelled.delete(id)) return;
  const send = (reply: Reply) => self.postMessage(reply, { transfer: drawn(reply) });
  try {
    const value = await answer(call, args, (step, share) => send({ id, step, share }));
    const decoderRuns = workspace ? (await workspace).decoderRuns : 0;
    send({ id, value, decoderRuns });
  } catch (error) {
    const known = error instanceof SemcompError ? error : (engineError(error, "this step") as SemcompError);
    send({ id, error: { kind: known.kind, message: known.message } });
  }
}

/** The pixels of a picture go to the page without a copy; nothing here reads them again. */
function drawn(reply: Reply): Transferable[] {
  const value = "value" in reply ? (reply.value as { rgba?: unknown; picture?: { rgba?: unknown } } | null) : null;
  const rgba = value?.rgba ?? value?.picture?.rgba;
  return rgba instanceof Uint8ClampedArray ? [rgba.buffer as ArrayBuffer] : [];
}

self.onmessage = ({ data }: MessageEvent<Request>) => {
  if ("cancel" in data) cancelled.add(data.cancel);
  else queue = queue.then(() => serve(data)).then(() => void cancelled.delete(data.id));
};
