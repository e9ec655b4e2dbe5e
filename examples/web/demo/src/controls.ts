// The column beside the stage: quality and size, the head and what it says.

import type { Label, Labels, Segmentation } from "semcomp";
import { areasWithin, labelRows, legendRows, type Legend } from "./answers";
import { arrowKeys, byId, debounce, make, show } from "./dom";
import { showError } from "./notices";
import { save, toPng } from "./photo";
import { STORED } from "./pipeline";
import type { Session } from "./session";
import { bytesToAnswer } from "./times";
import { ASK_A_HEAD, bitsAPixel, milliseconds, nothingKnown, percent, renamed, size, thousands } from "./words";

/** How long the slider rests before a photo is encoded. */
const PAUSE = 160;
const STORED_NAME = "in the file";

export class Controls {
  private readonly quality = byId<HTMLInputElement>("quality");
  private readonly confidence = byId<HTMLInputElement>("confidence");
  private readonly latentsOnly = byId<HTMLInputElement>("latents-only");
  private counted: { answer: Segmentation; part: Uint8Array | null; labels: Label[] } | null = null;
  private heads = "";
  private rows = "";

  /** `chooseClass` keeps or releases a class; `switched` is called when the switch was thrown. */
  constructor(
    private readonly session: Session,
    private readonly chooseClass: (number: number) => void,
    switched: (on: boolean) => void,
  ) {
    const encode = debounce(() => {
      const quality = Number(this.quality.value);
      if (session.source?.kind === "photo" && quality !== session.quality) session.setQuality(quality);
    }, PAUSE);
    this.quality.addEventListener("input", () => {
      byId("quality-value").textContent = this.quality.value;
      encode();
    });
    const ask = debounce(() => {
      const least = Number(this.confidence.value) / 100;
      if (least !== session.minConfidence) session.setConfidence(least);
    }, PAUSE);
    this.confidence.addEventListener("input", () => {
      byId("confidence-value").textContent = percent(Number(this.confidence.value) / 100);
      ask();
    });
    this.latentsOnly.addEventListener("change", () => {
      session.setLatentsOnly(this.latentsOnly.checked);
      switched(this.latentsOnly.checked);
    });
    const store = byId<HTMLInputElement>("store");
    store.addEventListener("change", () => session.setStoring(store.checked));
    const complete = byId<HTMLInputElement>("complete");
    complete.addEventListener("change", () => session.setCompleting(complete.checked));
    byId("download").addEventListener("click", () => this.download());
    byId("save-png").addEventListener("click", () => void this.savePng().catch(showError));
    arrowKeys(byId("heads"), (button) => button.click());
  }

  /** Brings everything in the column up to date. */
  show(): void {
    this.showSize();
    this.showHeads();
    this.showProof();
    this.showAnswer();
  }

  private showSize(): void {
    const { source, file, psnr, decoded } = this.session;
    const photo = source?.kind === "photo" ? source.photo : null;
    show(byId("quality-row"), photo !== null);
    show(byId("store-row"), photo !== null);
    if (file) show(byId("complete-row"), file.facts.completion !== null);
    const stale = !file;
    byId("controls").classList.toggle("stale", stale && source !== null);
    if (file) {
      byId("bytes").textContent = thousands(file.facts.bytes);
      byId("bpp").textContent = bitsAPixel(file.facts.bpp);
      const kept = file.facts.kept;
      byId("ratio-name").textContent = photo ? `Share of ${size(photo.fileBytes)}` : kept === null ? "Quality" : "Stored";
      byId("ratio").textContent = photo ? percent(file.facts.bytes / photo.fileBytes)
        : !file.facts.hasLatents ? "exact" : kept === null ? String(file.facts.quality) : percent(kept);
    }
    byId("psnr").textContent = psnr === null ? "–" : psnr === Infinity ? "exact" : `${psnr.toFixed(2)} dB`;
    byId<HTMLButtonElement>("download").disabled = !file;
    byId<HTMLButtonElement>("save-png").disabled = !decoded;
  }

  private showHeads(): void {
    const { facts, source, head, headFacts } = this.session;
    show(byId("confidence-row"), headFacts !== null); // what a file says of itself has no probabilities
    const names = (facts?.heads ?? []).map(({ name }) => name);
    if (source?.kind === "file" && this.session.hasStoredAnswer) names.unshift(STORED);
    const group = byId("heads");
    if (this.heads !== names.join("\n")) {
      this.heads = names.join("\n");
      group.replaceChildren(...names.map((name) => this.headButton(name)));
    }
    for (const button of group.querySelectorAll("button")) {
      const chosen = button.dataset["head"] === head;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen || (!names.includes(head) && button === group.firstElementChild) ? 0 : -1;
    }
  }

  private headButton(name: string): HTMLButtonElement {
    const facts = this.session.facts?.heads.find((head) => head.name === name);
    const what = !facts ? "what the file says of itself" : facts.task === "segment" ? "a label map" : "labels";
    const shown = facts?.experimental ? `${name} (experimental)` : name || STORED_NAME;
    const title = facts?.experimental ? `Gives ${what}. It is often wrong, and says little` : `Gives ${what}`;
    const button = make("button", { type: "button", role: "radio", "data-head": name, title }, shown);
    button.addEventListener("click", () => {
      if (this.session.head !== name) this.session.setHead(name);
    });
    return button;
  }

  private showProof(): void {
    const { session } = this;
    if (!session.file) return; // what was said of the last one stays until the next one is there
    const time = bytesToAnswer(session.times);
    const runs = session.decoderRuns;
    const proof = byId("proof");
    proof.classList.toggle("never", session.latentsOnly && runs === 0);
    const facts = [make("span", {}, "Decoder runs ", make("b", { id: "decoder-runs" }, String(runs)))];
    if (session.latentsOnly && time !== null) {
      facts.push(make("span", {}, "From bytes to answer ", make("b", { id: "answer-time" }, milliseconds(time))));
    }
    proof.replaceChildren(...facts);
  }

  private showAnswer(): void {
    const { session } = this;
    const answer = session.usesReference ? session.reference : session.answer;
    const choosing = session.source?.kind === "photo" && session.mask !== null;
    const list = byId("answer");
    const kept = (number: number) => session.mask?.hasClass(number) ?? false;
    const rows = !answer ? [] : answer.task === "classify" ? labelRows(answer.labels)
      : legendRows(this.legend(answer), kept, choosing ? this.chooseClass : null);
    if (answer || !session.source) {
      const focused = (document.activeElement as HTMLElement | null)?.dataset["class"];
      const now = rows.map((row) => row.outerHTML).join();
      if (now !== this.rows) list.replaceChildren(...rows);
      this.rows = now;
      if (focused) list.querySelector<HTMLElement>(`[data-class="${CSS.escape(focused)}"]`)?.focus();
    }
    list.classList.toggle("stale", !answer);
    const unasked = session.source !== null && !session.headFacts && session.head === STORED;
    byId("answer-note").textContent = answer ? this.note(answer, rows.length, choosing) : unasked ? ASK_A_HEAD : "";
  }

  private legend(answer: Segmentation): Legend {
    const part = this.session.answeredPart;
    if (this.counted?.answer !== answer || this.counted.part !== part) {
      this.counted = { answer, part, labels: part ? areasWithin(answer, part) : answer.labels };
    }
    return { ...answer, labels: this.counted.labels };
  }

  private note(answer: Labels | Segmentation, rows: number, choosing: boolean): string {
    const { usesReference, answeredPart, head } = this.session;
    if (!rows) return nothingKnown(head === STORED ? 0 : this.session.minConfidence);
    if (head === STORED) return "The file says so itself; no network ran.";
    if (answer.task === "classify") return "The likeliest classes, read from the latents.";
    if (usesReference) return "Read from the latents of the whole photo. What is kept is stored, the rest is dropped.";
    if (answeredPart) return "Shares of what is stored. The head saw nothing of the rest.";
    return choosing ? "By area. Click a class to keep it and drop the rest of the picture from the file." : "By area.";
  }

  private download(): void {
    const { file, source } = this.session;
    if (file && source) save(new Blob([file.bytes as BlobPart], { type: "application/octet-stream" }), renamed(source.name, ".semc"));
  }

  private async savePng(): Promise<void> {
    const { decoded, source, synthesised } = this.session;
    if (decoded && source) save(await toPng(decoded, synthesised), renamed(source.name, ".decoded.png"));
  }
}
