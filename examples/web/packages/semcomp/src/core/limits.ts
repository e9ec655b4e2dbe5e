// When a head keeps quiet: thresholds on its confidence. semcomp/semantics/limits.py has the rules.
import { VOID } from "./labelmap.ts";

const FINE = 4;

export interface Limits {
  /** Least mean energy of an image of the head's kind; null: no limit. */
  energy: number | null;
  /** Least share of the image for which a class must reach its confidence. */
  area: number;
  /** Least probability of each class, null for a class that is never said; empty: no limit. */
  confidence: (number | null)[];
  experimental: boolean;
}

const FORMAT = "semcomp-limits-1";
export const NO_LIMITS: Limits = { energy: null, area: 0, confidence: [], experimental: false };

/** The limits of a manifest's entry. Error where they do not fit the head's classes. */
export function limitsOf(entry: any, classes: readonly string[]): Limits {
  if (entry === null || entry === undefined) return NO_LIMITS;
  if (entry.format !== FORMAT) throw new Error(`a head's limits have the format ${entry.format}`);
  const given = entry.confidence;
  const names = Object.keys(given);
  if (names.length && (names.length !== classes.length || !classes.every((name) => name in given))) {
    throw new Error("a head's limits name other classes than the head");
  }
  const { energy, area, experimental } = entry;
  if (!(energy === null || Number.isFinite(energy)) || !Number.isFinite(area)) throw new Error("a limit is no number");
  return {
    energy, area, experimental: Boolean(experimental), confidence: names.length ? classes.map((name) => given[name]) : [],
  };
}

/** The limits with the confidence of every class but the background raised to this one where it is lower. */
export function atLeast(limits: Limits, confidence: number, classes: readonly string[]): Limits {
  if (!(confidence >= 0 && confidence <= 1)) throw new Error(`a confidence is a number from 0 to 1, not ${confidence}`);
  const raised = classes.map((name, k) => {
    const own = limits.confidence.length ? limits.confidence[k]! : 0;
    return own === null ? null : Math.max(own, name.toLowerCase() === "background" ? 0 : confidence);
  });
  return confidence ? { ...limits, confidence: raised } : limits;
}

/** Whether each class of a classifier, whose probabilities these are, may be said. */
export function sureClasses(limits: Limits, scores: Float32Array): boolean[] {
  return Array.from(scores, (score, k) => {
    const least = limits.confidence.length ? limits.confidence[k]! : 0;
    return least !== null && score >= least;
  });
}

/**
 * The mean energy of an image, and the probability that each class reaches at `area` of it or more: 0 for a class that
 * is the likeliest at less than that. Positions beyond the image do not count.
 */
export function evidence(
  logits: Float32Array, [, classes, tall, wide]: readonly number[], area: number,
  { width, height }: { width: number; height: number },
): { energy: number; confidence: number[] } {
  const [rows, columns] = [Math.min(tall!, Math.ceil(height / FINE)), Math.min(wide!, Math.ceil(width / FINE))];
  const found = Array.from({ length: classes! }, () => [] as number[]);
  const plane = tall! * wide!;
  let energies = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = row * wide! + column;
      let best = 0;
      for (let k = 1; k < classes!; k++) if (logits[k * plane + at]! > logits[best * plane + at]!) best = k;
      const highest = logits[best * plane + at]!;
      let total = 0;
      for (let k = 0; k < classes!; k++) total += Math.exp(logits[k * plane + at]! - highest);
      energies += highest + Math.log(total);
      found[best]!.push(1 / total);
    }
  }
  const least = Math.max(1, Math.ceil(area * rows * columns));
  const confidence = found.map((values) => (values.length < least ? 0 : values.sort((a, b) => b - a)[least - 1]!));
  return { energy: energies / (rows * columns), confidence };
}

/** Whether each class of a segmenter may be said of an image. */
export function saidClasses(
  limits: Limits, logits: Float32Array, dims: readonly number[], size: { width: number; height: number },
): boolean[] {
  const count = dims[1]!;
  if (limits.energy === null && !limits.confidence.length && !limits.area) return new Array<boolean>(count).fill(true);
  const { energy, confidence } = evidence(logits, dims, limits.area, size);
  if (limits.energy !== null && energy < limits.energy) return new Array<boolean>(count).fill(false);
  return confidence.map((value, k) => {
    const least = limits.confidence.length ? limits.confidence[k]! : 0;
    return value > 0 && least !== null && value >= least;
  });
}

/** Makes VOID of the classes that may not be said, in place. */
export function keepQuiet(map: Uint8Array, said: readonly boolean[]): void {
  if (said.every(Boolean)) return;
  for (let at = 0; at < map.length; at++) if (!said[map[at]!]) map[at] = VOID;
}
