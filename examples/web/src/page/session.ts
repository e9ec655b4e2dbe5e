// What is open, what was made of it, and what has to be computed next. One step runs at a time; a change made meanwhile
// drops the step's answer, and the next step starts from what is wanted then.

import type {
  Client, ClientFacts, FileFacts, HeadFacts, Labels, OnProgress, Segmentation, Step, Timings,
} from "../api";
import { KeepMask, POSITION } from "./mask";
import { isSemc, psnr, readPhoto, type Photo } from "./photo";

/** Quality at which the map is read that classes are chosen from, where the file itself holds a part alone. */
const REFERENCE_QUALITY = 75;
/** Stands for what a file says of itself, in place of a head's name. */
export const STORED = "";

export type Source = { kind: "photo"; name: string; photo: Photo } | { kind: "file"; name: string; bytes: Uint8Array };
/** `analyse` and `encode` of a photo, `open` of a file's bytes, `decode` and `answer` of the latents. */
export type Stage = "analyse" | "encode" | "open" | "decode" | "answer";

export interface Listener {
  /** Something changed: show everything anew. `fresh` where another picture was opened. */
  changed(fresh: boolean): void;
  progress(step: Step | "read", share: number | null): void;
  failed(error: unknown): void;
  remark(text: string): void;
}

export class Session {
  facts: ClientFacts | null = null;
  source: Source | null = null;
  mask: KeepMask | null = null;
  quality = 50;
  latentsOnly = false;
  head = STORED;
  /** Whether the head's answer goes into the file of a photo. */
  storing = false;
  /** The file of the photo, or the one that was opened. */
  file: { bytes: Uint8Array; facts: FileFacts } | null = null;
  decoded: ImageData | null = null;
  /** Against the original, over what the file stores. */
  psnr: number | null = null;
  answer: Labels | Segmentation | null = null;
  /** The label map of the whole photo, from which classes are chosen. */
  reference: Segmentation | null = null;
  timings = new Map<Stage, Timings>();
  working = false;
  /** Whether the worker holds the source, and its current latents are those of `file`. */
  private loaded = false;
  /** Whether those latents were read from the file's bytes, and nothing else was made of them yet. */
  private fromBytes = false;
  private epoch = 0;
  private halted = false;
  /** Files that are being opened; nothing else is computed meanwhile. */
  private opening = 0;

  constructor(readonly client: Client, private readonly listener: Listener) {}

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
    return !this.latentsOnly && this.reference?.head === this.head && this.requested !== null;
  }

  /** The positions that the answer shown speaks of, where it is read from a part of the picture; else null. */
  get answeredPart(): Uint8Array | null {
    return this.usesReference || this.head === STORED ? null : (this.file?.facts.keepMask ?? null);
  }

  private get requested(): Uint8Array | null {
    return this.source?.kind === "photo" && this.mask ? this.mask.request() : null;
  }

  async start(): Promise<void> {
    this.facts = await this.client.ready(this.report());
    const heads = this.facts.heads;
    this.head = (heads.find((head) => head.task === "segment") ?? heads[0])?.name ?? STORED;
  }

  /** Opens a photo or a `.semc` file. What was open before stays where that fails. */
  async open(blob: Blob, name: string): Promise<void> {
    const facts = this.facts;
    if (!facts) return;
    const epoch = ++this.epoch;
    this.opening++;
    try {
      this.listener.progress("read", null);
      const head = new Uint8Array(await blob.slice(0, 8).arrayBuffer());
      if (isSemc(name, head)) await this.openFile(new Uint8Array(await blob.arrayBuffer()), name, epoch);
      else await this.openPhoto(await readPhoto(blob, name, facts.maxPixels), epoch);
    } catch (error) {
      if (epoch !== this.epoch) return;
      this.listener.failed(error);
    } finally {
      this.opening--;
      this.listener.changed(false);
      void this.work();
    }
  }

  private async openPhoto(photo: Photo, epoch: number): Promise<void> {
    const { width, height } = photo.pixels;
    this.loaded = false; // the worker lets go of the photo before
    const { timings, hasAlpha } = await this.client.openPhoto(photo.pixels, width, height, this.report());
    if (epoch !== this.epoch) return;
    this.begin({ kind: "photo", name: photo.name, photo });
    this.timings.set("analyse", timings);
    this.mask = new KeepMask(width, height);
    if (hasAlpha) this.listener.remark("The photo is partly transparent. Its transparency goes into the file as well, and PSNR is left out");
    if (this.head === STORED) this.head = this.facts?.heads[0]?.name ?? STORED;
    this.listener.changed(true);
  }

  private async openFile(bytes: Uint8Array, name: string, epoch: number): Promise<void> {
    const { facts, timings } = await this.client.openFile(bytes, this.report());
    if (epoch !== this.epoch) return;
    this.begin({ kind: "file", name, bytes });
    this.timings.set("open", timings);
    this.file = { bytes, facts };
    this.fromBytes = true;
    if (facts.kept !== null && this.hasStoredAnswer) this.head = STORED; // the heads see a part of the picture alone
    else if (this.head === STORED) this.head = this.facts?.heads[0]?.name ?? STORED;
    for (const warning of facts.warnings) this.listener.remark(warning);
    if (facts.synthesised && facts.kept === null) this.listener.remark(meantFor(facts.generator));
    this.listener.changed(true);
  }

  private begin(source: Source): void {
    this.epoch++;
    this.source = source;
    this.mask = this.reference = null;
    this.timings.clear();
    this.forgetFile();
    this.loaded = true;
    this.halted = false;
  }

  setQuality(quality: number): void {
    this.quality = quality;
    this.change(() => this.forgetFile());
  }

  /** To be called after every change of the mask: what is shown of it follows at once. */
  maskEdited(): void {
    this.listener.changed(false);
  }

  /** To be called when the mask has rested: the file is made anew. */
  maskChanged(): void {
    if (this.mask) this.change(() => this.forgetFile());
  }

  setHead(name: string): void {
    this.head = name;
    this.change(() => {
      if (this.storing && this.source?.kind === "photo") this.forgetFile();
      this.answer = null;
    });
  }

  setStoring(on: boolean): void {
    this.storing = on;
    this.change(() => this.forgetFile());
  }

  /** With it on, the file is opened anew and nothing but heads reads its latents. */
  setLatentsOnly(on: boolean): void {
    this.latentsOnly = on;
    this.change(() => {
      this.decoded = this.psnr = this.answer = null;
      this.fromBytes = false;
    });
  }

  private forgetFile(): void {
    this.file = this.decoded = this.psnr = this.answer = null;
    this.fromBytes = false;
  }

  private change(forget: () => void): void {
    this.epoch++;
    this.halted = false;
    forget();
    this.listener.changed(false);
    void this.work();
  }

  private async work(): Promise<void> {
    if (this.working || !this.missing()) return;
    this.working = true;
    try {
      for (let step = this.next(); step; step = this.next()) {
        await step.call(this, this.epoch);
        this.listener.changed(false);
      }
    } catch (error) {
      this.halted = true;
      this.listener.failed(error);
    } finally {
      this.working = false;
    }
    this.listener.changed(false);
  }

  private next(): ((epoch: number) => Promise<void>) | null {
    const step = this.missing();
    return step && !this.loaded ? this.load : step;
  }

  private missing(): ((epoch: number) => Promise<void>) | null {
    if (!this.source || this.halted || this.opening) return null;
    const photo = this.source.kind === "photo";
    const segments = this.headFacts?.task === "segment";
    if (photo && segments && this.requested && this.reference?.head !== this.head) return this.refer;
    if (photo && !this.file) return this.encode;
    if (!this.file || (this.latentsOnly && !this.fromBytes)) return this.reopen;
    if (!this.latentsOnly && !this.decoded) return this.decode;
    if (!this.answer && !this.usesReference && this.canAnswer) return this.recognise;
    return null;
  }

  private get canAnswer(): boolean {
    return this.headFacts !== null || (this.head === STORED && this.hasStoredAnswer);
  }

  /** Whether the file itself says what it shows. */
  get hasStoredAnswer(): boolean {
    const facts = this.file?.facts;
    return !!facts && (facts.hasStoredMap || facts.storedLabels.length > 0);
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
    const request = { quality: this.quality, keep, head, store };
    const { bytes, facts, timings } = await this.client.encode(request, this.report());
    if (epoch !== this.epoch) return;
    this.file = { bytes, facts };
    this.timings.set("encode", timings);
    for (const stage of ["open", "decode", "answer"] as const) this.timings.delete(stage);
  }

  private async reopen(epoch: number): Promise<void> {
    this.listener.progress("entropy", null);
    const bytes = this.file?.bytes ?? (this.source as Source & { kind: "file" }).bytes;
    const { facts, timings } = await this.client.openFile(bytes, this.report());
    if (epoch !== this.epoch) return;
    this.file = { bytes, facts };
    this.fromBytes = true;
    this.timings.set("open", timings);
    this.timings.delete("decode");
  }

  private async decode(epoch: number): Promise<void> {
    this.listener.progress("synthesis", null);
    const { rgba, width, height, timings } = await this.client.decode(this.report());
    if (epoch !== this.epoch) return;
    this.decoded = new ImageData(rgba, width, height);
    this.timings.set("decode", timings);
    const facts = this.file!.facts;
    if (facts.keepMask) clear(this.decoded, facts.keepMask);
    const original = this.source?.kind === "photo" && !facts.hasAlpha ? this.source.photo.pixels : null;
    this.psnr = original && psnr(original, this.decoded, facts.keepMask);
  }

  private async recognise(epoch: number): Promise<void> {
    this.listener.progress("head", null);
    const answer = this.head === STORED ? await this.stored() : await this.client.recognise(this.head, this.report());
    if (epoch !== this.epoch) return;
    this.answer = answer;
    this.timings.set("answer", answer.timings);
    if (answer.task === "segment" && !this.file?.facts.keepMask) this.setReference(answer);
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
    const answer = await this.client.recognise(this.head, this.report());
    if (epoch !== this.epoch || answer.task !== "segment") return;
    this.setReference(answer);
  }

  private setReference(answer: Segmentation): void {
    const fresh = this.reference?.head !== answer.head;
    this.reference = answer;
    this.mask?.setMap(answer.map, answer.width, answer.height, fresh);
  }

  private report(): OnProgress {
    return (step, share) => this.listener.progress(step, share);
  }
}

function meantFor(generator: string | null): string {
  const name = generator ? `the generator ${generator}` : "a generator";
  return `This file was made for ${name}, which would add details that it does not store. You see what it stores`;
}

/** Makes the positions transparent that a file does not store, 16x16 pixels each. */
function clear(picture: ImageData, stored: Uint8Array): void {
  const columns = Math.ceil(picture.width / POSITION);
  for (let y = 0, at = 3; y < picture.height; y++) {
    const row = Math.floor(y / POSITION) * columns;
    for (let x = 0; x < picture.width; x++, at += 4) {
      if (!stored[row + Math.floor(x / POSITION)]) picture.data[at] = 0;
    }
  }
}

/** Milliseconds from a file's bytes to an answer, without what is loaded once. */
export function bytesToAnswer(timings: Map<Stage, Timings>): number | null {
  const stages = [timings.get("open"), timings.get("answer")];
  return stages.every((each) => each) ? stages.reduce((sum, each) => sum + lasting(each!), 0) : null;
}

/** Milliseconds of a stage without downloads and the start of the engine. */
export const lasting = (timings: Timings): number => timings.total - (timings.download ?? 0) - (timings.engine ?? 0);
