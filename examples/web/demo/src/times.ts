// How long each stage of the work took.

import type { Timings } from "semcomp";

/** `analyse` and `encode` of a photo, `open` of a file's bytes, `decode` and `answer` of the latents. */
export type Stage = "analyse" | "encode" | "open" | "decode" | "answer";

export type Times = Map<Stage, Timings>;

/** Milliseconds from a file's bytes to an answer, without what is loaded once. */
export function bytesToAnswer(times: Times): number | null {
  const stages = [times.get("open"), times.get("answer")];
  return stages.every((each) => each) ? stages.reduce((sum, each) => sum + lasting(each!), 0) : null;
}

/** Milliseconds of a stage without downloads and the start of the engine. */
export const lasting = (timings: Timings): number => timings.total - (timings.download ?? 0) - (timings.engine ?? 0);
