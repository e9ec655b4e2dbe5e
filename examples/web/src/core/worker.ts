// The worker: takes calls off a queue, one at a time, and answers each with its value or a sentence that says what failed.
import { ClientError, type EncodeRequest, type Reply, type Request, type Step } from "../api.ts";
import { Bundle, engineError, fetchFrom } from "./bundle.ts";
import { hasSimd, prepare, startSession } from "./engine.ts";
import { ModelError } from "./errors.ts";
import { maxPixels } from "./memory.ts";
import { Workspace } from "./workspace.ts";

let workspace: Promise<Workspace> | null = null;
let threads = 1;
let queue: Promise<void> = Promise.resolve();

/** Opens the folder of graphs; a later `ready` tries again where that failed. */
function opened(graphs: string): Promise<Workspace> {
  threads = prepare(new URL("ort/", self.location.href).href);
  const { deviceMemory } = navigator as { deviceMemory?: number };
  return Bundle.open(fetchFrom(graphs), startSession).then((bundle) => new Workspace(bundle, maxPixels(deviceMemory)));
}

let folder = "";

async function answer(call: string, args: unknown[], progress: (step: Step, share: number) => void): Promise<unknown> {
  if (call === "start") {
    folder = args[0] as string;
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
    case "storedMap":
      return space.storedMap(progress);
    case "symbols":
      return space.symbols();
    default:
      throw new ModelError(`the worker knows no call ${call}; reload the page`);
  }
}

async function serve({ id, call, args }: Request): Promise<void> {
  const send = (reply: Reply) => self.postMessage(reply);
  try {
    const value = await answer(call, args, (step, share) => send({ id, step, share }));
    const decoderRuns = workspace ? (await workspace).decoderRuns : 0;
    send({ id, value, decoderRuns });
  } catch (error) {
    const known = error instanceof ClientError ? error : (engineError(error, "this step") as ClientError);
    send({ id, error: { kind: known.kind, message: known.message } });
  }
}

self.onmessage = (event: MessageEvent<Request>) => {
  queue = queue.then(() => serve(event.data));
};
