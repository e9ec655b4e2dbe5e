// The tools of the view "Kept regions", and the gestures on the stage.

import { byId, debounce } from "./dom";
import { Gestures } from "./gestures";
import type { Session } from "./session";
import type { Stage, View } from "./stage";
import { percent } from "./words";

/** How long the mask rests before a photo is encoded. */
const PAUSE = 350;

export class Keeping {
  private erasing = false;
  private readonly encode: () => void;
  private readonly size = byId<HTMLInputElement>("brush-size");

  constructor(private readonly session: Session, private readonly stage: Stage, private readonly view: () => View) {
    this.encode = debounce(() => session.maskChanged(), PAUSE);
    for (const [id, erasing] of [["brush", false], ["eraser", true]] as const) {
      byId(id).addEventListener("click", () => {
        this.erasing = erasing;
        this.show();
      });
    }
    byId("undo").addEventListener("click", () => this.edit(() => session.mask?.undo()));
    byId("invert").addEventListener("click", () => this.edit(() => session.mask?.invert()));
    byId("clear").addEventListener("click", () => this.edit(() => session.mask?.clear()));
    document.addEventListener("keydown", (event) => {
      const undoes = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
      if (!undoes || !session.mask?.canUndo) return;
      event.preventDefault();
      this.edit(() => session.mask?.undo());
    });
    new Gestures(stage, this.listener());
  }

  /** Keeps a class of the label map, or releases it. */
  toggleClass(number: number): void {
    this.edit(() => this.session.mask?.toggleClass(number));
  }

  /** Brings the tools and the drawing up to date. */
  show(): void {
    const { mask, source, file } = this.session;
    byId("brush").setAttribute("aria-pressed", String(!this.erasing));
    byId("eraser").setAttribute("aria-pressed", String(this.erasing));
    byId<HTMLButtonElement>("undo").disabled = !mask?.canUndo;
    const readOnly = source?.kind === "file";
    for (const id of ["brush", "eraser", "brush-size", "invert", "clear"]) {
      byId<HTMLButtonElement | HTMLInputElement>(id).disabled = readOnly;
    }
    const request = mask?.request() ?? null;
    this.stage.setMask(request);
    const completed = this.view() === "picture" && this.session.synthesised !== "";
    if (file) this.stage.setStored(completed ? null : file.facts.keepMask, this.session.answeredPart !== null);
    byId("keep-hint").textContent = readOnly ? this.ofFile() : this.ofMask(request);
  }

  private ofMask(request: Uint8Array | null): string {
    if (!request) return "Paint what to keep: the rest is dropped from the file. Now all of the picture is stored.";
    const kept = request.reduce((sum, value) => sum + value, 0) / request.length;
    return `${percent(kept)} of the picture is kept. The rest is dropped from the file.`;
  }

  private ofFile(): string {
    const kept = this.session.file?.facts.kept ?? null;
    return kept === null ? "This file stores the whole picture." : `This file stores ${percent(kept)} of the picture.`;
  }

  private edit(change: () => void): void {
    if (!this.session.mask) return;
    change();
    this.session.maskEdited();
    this.encode();
  }

  private listener() {
    const { session } = this;
    const changes = { stroke: false, frame: 0 };
    return {
      view: this.view,
      paints: () => this.view() === "keep" && session.mask !== null,
      brush: () => Number(this.size.value),
      size: () => ({ width: this.stage.width, height: this.stage.height }),
      strokeStart: () => {
        changes.stroke = false;
        session.mask?.begin();
      },
      stroke: (column: number, row: number) => {
        changes.stroke = session.mask?.paint(column, row, Number(this.size.value), !this.erasing) || changes.stroke;
        cancelAnimationFrame(changes.frame);
        changes.frame = requestAnimationFrame(() => this.show());
      },
      strokeEnd: () => {
        if (changes.stroke) this.edit(() => {});
        else session.mask?.forgetStep();
      },
      pointed: (column: number, row: number) => {
        const { mask } = session;
        if (!mask) return;
        const kept = mask.marked()[row * mask.columns + column] ? "kept" : "not kept";
        byId("status").textContent = `Row ${row + 1} of ${mask.rows}, column ${column + 1} of ${mask.columns}: ${kept}`;
      },
      click: ({ x, y }: { x: number; y: number }) => {
        const shown = this.view() === "map" && session.mask ? session.segmentation : null;
        const number = shown?.map[Math.floor(y) * shown.width + Math.floor(x)];
        if (number !== undefined && shown?.classes[number] !== undefined) this.toggleClass(number);
      },
      hover: (pixel: { x: number; y: number } | null, at: { x: number; y: number }) => {
        const shown = this.view() === "map" && pixel ? session.segmentation : null;
        const number = shown && pixel ? shown.map[Math.floor(pixel.y) * shown.width + Math.floor(pixel.x)]! : -1;
        this.stage.setTip(shown?.classes[number] ?? "", at);
      },
    };
  }
}
