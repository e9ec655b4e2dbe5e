// What was made of the picture that is open, and what has to be computed next. One step runs at a time; a change made
// meanwhile drops the step's answer, and the next step starts from what is wanted then.

import type {
  Client, ClientFacts, FileFacts, HeadFacts, Labels, OnProgress, Segmentation, Step,
} from "semcomp";
import type { KeepMask } from "./mask";
import { clear, psnr, type Photo } from "./photo";
import type { Times } from "./times";

/** Quality at which the map is read that classes are chosen from, where the file itself holds a part alone. */
const REFERENCE_QUALITY = 75;
/** Stands in place of a head's name for what a file says of itself, and for no head at all. */
export const STORED = "";

export type Source = { kind: "photo"; name: string; photo: Photo } | { kind: "file"; name: string; bytes: Uint8Array };

export interface Listener {
  /** Something changed: show everything anew. `fresh` where another picture was opened. */
  changed(fresh: boolean): void;
  progress(step: Step | "read", share: number | null): void;
  failed(error: unknown): void;
  remark(text: string): void;
}

/** A step; it drops its answer where the epoch is another one by then. */
type Task = (this: Pipeline, epoch: number) => Promise<void>;

export class Pipeline {
  facts: ClientFacts | null = null;
  source: Source | null = null;
  mask: KeepMask | null = null;
  quality = 50;
  latentsOnly = false;
  head = STORED;
  /** Least probability of what the head says, 0 to 1. */
  minConfidence = 0;
  /** Whether the head's answer goes into the file of a photo. */
  storing = false;
  /** The file of the photo, or the one that was opened. */
  file: { bytes: Uint8Array; facts: FileFacts } | null = null;
  decoded: ImageData | null = null;
  /** What of `decoded` a generator made: a sentence, or "". */
  synthesised = "";
  /** Whether a generator completes what a file does not store, where the page has it. */
  completing = true;
  /** Against the original, over what the file stores. */
  psnr: number | null = null;
  answer: Labels | Segmentation | null = null;
  /** The label map of the whole photo, from which classes are chosen. */
  reference: Segmentation | null = null;
  times: Times = new Map();
  working = false;
  /** Whether the worker holds the source, and its current latents are those of `file`. */
  protected loaded = false;
  /** Whether those latents were read from the file's bytes, and nothing else was made of them yet. */
  protected fromBytes = false;
  /** `minConfidence` of `reference`. */
  private referenceConfidence = 0;
  protected epoch = 0;
  protected halted = false;
  /** Files that are being opened; nothing else is computed meanwhile. */
  protected opening = 0;

  constructor(readonly client: Client, protected readonly listener: Listener) {}

  get headFacts(): HeadFacts | null {
    return this.facts?.heads.find((head) => head.name === this.head) ?? null;
  }

  /** How often the decoder has run since the current latents were made. */
  get decoderRuns(): number {
    return this.client.decoderRuns;
  }

  /** The label map to show and to choose classes from, or null. */
  get segmentation(): Segmentation | null {
    if (this.usesReference) return this.reference;
    return this.answer?.task === "segment" ? this.answer : null;
  }

  /** Whether the answer shown is that of the whole photo, though the file holds a part of it. */
  get usesReference(): boolean {
    return !this.latentsOnly && this.hasReference && this.requested !== null;
  }

  /** Whether `reference` is what the head says now. */
  private get hasReference(): boolean {
    return this.reference?.head === this.head && this.referenceConfidence === this.minConfidence;
  }

  /** The positions that the answer shown speaks of, where it is read from a part of the picture; else null. */
  get answeredPart(): Uint8Array | null {
    return this.usesReference || this.head === STORED ? null : (this.file?.facts.keepMask ?? null);
  }

  private get requested(): Uint8Array | null {
    return this.source?.kind === "photo" && this.mask ? this.mask.request() : null;
  }

  protected async work(): Promise<void> {
    if (this.working || !this.missing()) return;
    this.working = true;
    try {
      for (let step = this.next(); step; step = this.next()) {
        await this.run(step, this.epoch);
        this.listener.changed(false);
      }
    } finally {
      this.working = false;
    }
    this.listener.changed(false);
  }

  /** An error counts where the step is still wanted; then nothing runs until something changes. */
  private async run(step: Task, epoch: number): Promise<void> {
    try {
      await step.call(this, epoch);
    } catch (error) {
      if (epoch !== this.epoch) return;
      this.halted = true;
      this.listener.failed(error);
    }
  }

  private next(): Task | null {
    const step = this.missing();
    return step && !this.loaded ? this.load : step;
  }

  private missing(): Task | null {
    if (!this.source || this.halted || this.opening) return null;
    const photo = this.source.kind === "photo";
    const segments = this.headFacts?.task === "segment";
    if (photo && segments && this.requested && !this.hasReference) return this.refer;
    if (photo && !this.file) return this.encode;
    if (!this.file || (this.latentsOnly && !this.fromBytes)) return this.reopen;
    if (!this.latentsOnly && !this.decoded) return this.decode;
    if (!this.answer && !this.usesReference && this.canAnswer) return this.recognise;
    return null;
  }

  private get canAnswer(): boolean {
    if (this.file && !this.file.facts.hasLatents) return this.head === STORED && this.hasStoredAnswer;
    return this.headFacts !== null || (this.head === STORED && this.hasStoredAnswer);
  }

  /** Whether the file itself says what it shows. */
  get hasStoredAnswer(): boolean {
    const facts = this.file?.facts;
    return !!facts && (facts.hasStoredMap || facts.labelsSource !== null);
  }

  /** Gives the source to the worker again, after another one was refused. */
  private async load(): Promise<void> {
    const source = this.source!;
    if (source.kind === "photo") {
      const { pixels } = source.photo;
      await this.client.openPhoto(pixels, pixels.width, pixels.height, this.report());
    }
    this.forgetFile();
    this.loaded = true;
  }

  private async encode(epoch: number): Promise<void> {
    this.listener.progress("quantize", null);
    const keep = this.requested ?? undefined;
    const head = this.headFacts?.task === "segment" ? this.head : undefined;
    const store = this.storing && this.headFacts ? [this.head] : undefined;
    const request = { quality: this.quality, keep, head, store, minConfidence: this.minConfidence };
    const { bytes, facts, timings } = await this.client.encode(request, this.report());
    if (epoch !== this.epoch) return;
    this.file = { bytes, facts };
    this.times.set("encode", timings);
    for (const stage of ["open", "decode", "answer"] as const) this.times.delete(stage);
  }

  private async reopen(epoch: number): Promise<void> {
    this.listener.progress("entropy", null);
    const bytes = this.file?.bytes ?? (this.source as Source & { kind: "file" }).bytes;
    const { facts, timings } = await this.client.openFile(bytes, this.report());
    if (epoch !== this.epoch) return;
    this.file = { bytes, facts };
    this.fromBytes = true;
    this.times.set("open", timings);
    this.times.delete("decode");
  }

  private async decode(epoch: number): Promise<void> {
    this.listener.progress(this.completing && this.file?.facts.completion ? "generator" : this.file?.facts.exact ? "exact" : "synthesis", null);
    const faithful = !this.completing;
    const { rgba, width, height, synthesised, timings } = await this.client.decode({ faithful }, this.report());
    if (epoch !== this.epoch) return;
    this.synthesised = synthesised;
    this.decoded = new ImageData(rgba, width, height);
    this.times.set("decode", timings);
    const facts = this.file!.facts;
    if (facts.keepMask && !synthesised) clear(this.decoded, facts.keepMask);
    const original = this.source?.kind === "photo" && !facts.hasAlpha ? this.source.photo.pixels : null;
    this.psnr = original && psnr(original, this.decoded, facts.keepMask);
  }

  private async recognise(epoch: number): Promise<void> {
    this.listener.progress("head", null);
    const answer = this.head === STORED ? await this.stored() : await this.ask();
    if (epoch !== this.epoch) return;
    this.answer = answer;
    this.times.set("answer", answer.timings);
    if (answer.task === "segment" && !this.file?.facts.keepMask) this.setReference(answer);
  }

  private ask(): Promise<Labels | Segmentation> {
    return this.client.recognise(this.head, this.report(), { minConfidence: this.minConfidence });
  }

  /** What the file says of itself: its label map, or its labels. */
  private stored(): Promise<Labels | Segmentation> {
    const { hasStoredMap, storedLabels } = this.file!.facts;
    if (hasStoredMap) return this.client.storedMap(this.report());
    return Promise.resolve({ task: "classify", head: STORED, labels: storedLabels, timings: { total: 0 } });
  }

  /** The label map of the whole photo; the file is made anew afterwards. */
  private async refer(epoch: number): Promise<void> {
    this.listener.progress("quantize", null);
    this.forgetFile();
    await this.client.encode({ quality: REFERENCE_QUALITY }, this.report());
    const answer = await this.ask();
    if (epoch !== this.epoch || answer.task !== "segment") return;
    this.setReference(answer);
  }

  private setReference(answer: Segmentation): void {
    const fresh = this.reference?.head !== answer.head;
    this.reference = answer;
    this.referenceConfidence = this.minConfidence;
    this.mask?.setMap(answer.map, answer.width, answer.height, fresh);
  }

  protected forgetFile(): void {
    this.file = this.decoded = this.psnr = this.answer = null;
    this.synthesised = "";
    this.fromBytes = false;
  }

  protected report(): OnProgress {
    return (step, share) => this.listener.progress(step, share);
  }
}
