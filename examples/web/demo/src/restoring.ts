// The view "Restored": a JPEG file beside what it looks like without the marks of compression.
import type { Client } from "semcomp";
import { byId, debounce, show } from "./dom";

const MAGIC = [0xff, 0xd8];
const PAUSE = 250; // milliseconds after the last move of the slider

export interface RestoringListener {
  changed(): void;
  progress(share: number | null): void;
  failed(error: unknown): void;
}

export class Restoring {
  /** The restored picture of the file that is open, null before it was asked for. */
  picture: ImageData | null = null;
  private bytes: Uint8Array | null = null;
  private request: AbortController | null = null;
  private readonly strength = byId<HTMLInputElement>("strength");

  constructor(private readonly client: Client, private readonly listener: RestoringListener) {
    const again = debounce(() => void this.run(), PAUSE);
    this.strength.addEventListener("input", again);
  }

  /** Takes the file that was opened; only JPEG files have this view, where the page has a restorer. */
  async open(file: Blob, restores: boolean): Promise<void> {
    this.request?.abort();
    this.picture = this.bytes = null;
    const head = new Uint8Array(await file.slice(0, 2).arrayBuffer());
    const fits = restores && MAGIC.every((value, at) => head[at] === value);
    if (fits) this.bytes = new Uint8Array(await file.arrayBuffer());
    show(byId("tab-restore"), fits);
  }

  get available(): boolean {
    return this.bytes !== null;
  }

  /** Computes the picture where it is not there yet. */
  begin(): void {
    if (this.bytes && !this.picture && !this.request) void this.run();
  }

  private async run(): Promise<void> {
    const { bytes } = this;
    if (!bytes) return;
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.listener.progress(null);
    try {
      const strength = Number(this.strength.value) / 100;
      const onProgress = (_step: string, share: number) => this.listener.progress(share);
      const { rgba, width, height, damage } = await this.client.restore(bytes, strength, { signal: request.signal, onProgress });
      this.picture = new ImageData(rgba, width, height);
      byId("restore-hint").textContent = damage ? `The file is damaged: ${damage}.` : HINT;
      this.listener.changed();
    } catch (error) {
      if (!request.signal.aborted) this.listener.failed(error);
    } finally {
      if (this.request === request) this.request = null;
    }
  }
}

const HINT = "Every coefficient stays in the cell of what the file stores: nothing is invented beyond it.";
