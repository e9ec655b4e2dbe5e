// What a person opens and changes; the pipeline computes what follows from it.

import { KeepMask } from "./mask";
import { isSemc, readPhoto, type Photo } from "./photo";
import { Pipeline, STORED, type Source } from "./pipeline";

const TRANSPARENT =
  "The photo is partly transparent. Its transparency goes into the file as well, and PSNR is left out";

export class Session extends Pipeline {
  async start(): Promise<void> {
    this.facts = await this.client.ready(this.report());
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
    if (epoch !== this.epoch) return; // another one was opened while this was read
    const { width, height } = photo.pixels;
    this.loaded = false; // the worker lets go of the photo before
    const { timings, hasAlpha } = await this.client.openPhoto(photo.pixels, width, height, this.report());
    if (epoch !== this.epoch) return;
    this.begin({ kind: "photo", name: photo.name, photo });
    this.times.set("analyse", timings);
    this.mask = new KeepMask(width, height);
    if (hasAlpha) this.listener.remark(TRANSPARENT);
    this.listener.changed(true);
  }

  private async openFile(bytes: Uint8Array, name: string, epoch: number): Promise<void> {
    const { facts, timings } = await this.client.openFile(bytes, this.report());
    if (epoch !== this.epoch) return;
    this.begin({ kind: "file", name, bytes });
    this.times.set("open", timings);
    this.file = { bytes, facts };
    this.fromBytes = true;
    if (facts.kept !== null && this.hasStoredAnswer) this.head = STORED; // the heads see a part of the picture alone
    for (const warning of facts.warnings) this.listener.remark(warning);
    if (facts.synthesised && facts.kept === null && facts.completion === null) this.listener.remark(meantFor(facts.generator));
    this.listener.changed(true);
  }

  private begin(source: Source): void {
    this.epoch++;
    this.source = source;
    this.mask = this.reference = null;
    this.times.clear();
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

  /** The least probability of what the head says, 0 to 1. */
  setConfidence(least: number): void {
    this.minConfidence = least;
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

  /** With it off, the page shows what the file stores and nothing else. */
  setCompleting(on: boolean): void {
    this.completing = on;
    this.change(() => (this.decoded = this.psnr = null));
  }

  private change(forget: () => void): void {
    this.epoch++;
    this.halted = false;
    forget();
    this.listener.changed(false);
    void this.work();
  }
}

function meantFor(generator: string | null): string {
  const name = generator ? `the generator ${generator}` : "a generator";
  return `This file was made for ${name}, which would add details that it does not store. You see what it stores`;
}
