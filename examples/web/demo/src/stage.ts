// What lies on the stage: the original, what was decoded, the label map over it, and which positions are stored.

import { Divider } from "./divider";
import { byId, show } from "./dom";
import { POSITION } from "./mask";
import { Viewport } from "./viewport";

export type View = "picture" | "map" | "keep" | "restore";

/** A class number for every pixel, and a colour for every class. */
export interface Colouring {
  map: Uint8Array;
  width: number;
  height: number;
  palette: [number, number, number][];
}

export class Stage {
  readonly element = byId("stage");
  readonly viewport: Viewport;
  readonly divider: Divider;
  private readonly original = byId<HTMLCanvasElement>("original");
  private readonly decoded = byId<HTMLCanvasElement>("decoded");
  private readonly map = byId<HTMLCanvasElement>("map");
  private readonly regions = byId<SVGSVGElement>("regions");
  private readonly right = byId("right");
  private readonly handle = byId("divider");
  private hasOriginal = false;
  private hasDecoded = false;
  private peeking = false;
  private view: View = "picture";
  /** Pixels of the picture. */
  width = 0;
  height = 0;

  /** `moved` is called after every zoom and move, `divided` after the divider has moved. */
  constructor(moved: () => void, divided: () => void) {
    this.viewport = new Viewport(this.element, byId("plane"), () => {
      this.layOut();
      moved();
    });
    this.divider = new Divider(this.element, this.handle, () => this.viewport.visible, () => {
      this.layOut();
      divided();
    });
  }

  /** A new picture; everything drawn before is gone. `original` is null for a file. */
  begin(width: number, height: number, original: ImageData | null): void {
    this.width = width;
    this.height = height;
    this.hasOriginal = original !== null;
    for (const canvas of [this.original, this.decoded, this.map]) resize(canvas, 0, 0);
    if (original) draw(this.original, original);
    for (const drawing of [this.regions, byId("absent")]) drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.setMask(null);
    this.setStored(null);
    this.setDecoded(null);
    this.viewport.setPicture(width, height);
  }

  /** Nothing stays: memory is given back before a large picture comes. */
  release(): void {
    for (const canvas of [this.original, this.decoded, this.map]) resize(canvas, 0, 0);
  }

  setDecoded(picture: ImageData | null): void {
    this.hasDecoded = picture !== null;
    if (picture) draw(this.decoded, picture);
    show(this.decoded, this.hasDecoded);
    this.layOut();
  }

  /** A thumbnail, stretched over the decoded side until the picture itself is there. */
  setPreview(picture: ImageData): void {
    const small = document.createElement("canvas");
    draw(small, picture);
    resize(this.decoded, this.width, this.height);
    const context = this.decoded.getContext("2d");
    if (!context) return;
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, this.width, this.height);
    show(this.decoded, true);
    show(byId("undecoded"), false);
  }

  /** The label map over the decoded side, or none. */
  setMap(colouring: Colouring | null): void {
    if (!colouring) {
      resize(this.map, 0, 0);
      return;
    }
    const { map, width, height, palette } = colouring;
    const colours = new Uint32Array(256);
    palette.forEach(([r, g, b], number) => (colours[number] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0));
    const pixels = new ImageData(width, height);
    const words = new Uint32Array(pixels.data.buffer);
    for (let at = 0; at < words.length; at++) words[at] = colours[map[at]!]!;
    draw(this.map, pixels);
  }

  setOpacity(share: number): void {
    this.map.style.opacity = String(share);
  }

  setView(view: View): void {
    this.view = view;
    this.layOut();
  }

  /** While true only the original is shown. */
  peek(on: boolean): void {
    this.peeking = on && this.hasOriginal;
    this.layOut();
  }

  /** Marks on the original which positions are to be stored; the rest is dimmed. null: all are. */
  setMask(mask: Uint8Array | null): void {
    const [rest, edge] = this.outline(mask);
    byId<SVGPathElement>("rest").setAttribute("d", rest);
    byId<SVGPathElement>("edge").setAttribute("d", edge);
  }

  /** Hatches on the decoded side what the file does not store; `above` the label map, or below it. */
  setStored(mask: Uint8Array | null, above = false): void {
    byId<SVGPathElement>("absent-area").setAttribute("d", this.outline(mask)[0]);
    byId("absent").classList.toggle("above", above);
  }

  private outline(mask: Uint8Array | null): [string, string] {
    return mask ? outline(mask, Math.ceil(this.width / POSITION), this.width, this.height) : ["", ""];
  }

  /** The disc that the next stroke paints, in positions, or none. */
  setCursor(cursor: { column: number; row: number; size: number } | null): void {
    const box = byId<SVGRectElement>("cursor");
    show(box, cursor !== null);
    if (!cursor) return;
    const start = (at: number) => String(POSITION * (at - Math.floor(cursor.size / 2)));
    box.setAttribute("x", start(cursor.column));
    box.setAttribute("y", start(cursor.row));
    box.setAttribute("width", String(POSITION * cursor.size));
    box.setAttribute("height", String(POSITION * cursor.size));
  }

  /** A word beside the pointer, or "" for none. */
  setTip(text: string, at: { x: number; y: number }): void {
    const tip = byId("tip");
    show(tip, text !== "");
    tip.textContent = text;
    tip.style.transform = `translate(${at.x + 14}px, ${at.y + 14}px)`;
  }

  /** Which layers are seen, and where the divider cuts them. */
  private layOut(): void {
    const { view, viewport } = this;
    const whole = view === "keep" && this.hasOriginal; // choosing happens on the original
    const divided = this.hasOriginal && !whole && !this.peeking;
    show(this.handle, divided);
    show(byId("tag-left"), this.hasOriginal);
    show(byId("tag-right"), !whole && !this.peeking);
    show(this.map, view === "map");
    show(byId("undecoded"), !this.hasDecoded && (view === "picture" || view === "restore"));
    show(this.right, !whole && !this.peeking);
    show(this.regions, whole);
    this.element.classList.toggle("choosing", whole);
    this.element.classList.toggle("still", viewport.fitted && !whole); // then a finger scrolls the page
    const cut = divided ? Math.max(0, (this.divider.position - viewport.x) / viewport.scale) : 0;
    this.right.style.clipPath = `inset(0 0 0 ${cut}px)`;
    byId("stripes").setAttribute("patternTransform", `rotate(45) scale(${1 / viewport.scale})`);
    if (divided) this.divider.place();
  }
}

function resize(canvas: HTMLCanvasElement, width: number, height: number): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

function draw(canvas: HTMLCanvasElement, pixels: ImageData): void {
  resize(canvas, pixels.width, pixels.height);
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
}

/** Paths of an SVG: the area of the positions that are 0, and the border between those and the rest. */
function outline(mask: Uint8Array, columns: number, width: number, height: number): [string, string] {
  const rows = mask.length / columns;
  const areas: string[] = [];
  const edges: string[] = [];
  const right = (column: number) => Math.min(width, POSITION * column);
  const bottom = (row: number) => Math.min(height, POSITION * row);
  for (let row = 0; row < rows; row++) {
    for (let start = 0; start < columns; ) {
      if (mask[row * columns + start]) {
        start++;
        continue;
      }
      let end = start + 1;
      while (end < columns && !mask[row * columns + end]) end++;
      areas.push(`M${POSITION * start} ${POSITION * row}H${right(end)}V${bottom(row + 1)}H${POSITION * start}z`);
      start = end;
    }
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      if (column && mask[at] !== mask[at - 1]) edges.push(`M${POSITION * column} ${POSITION * row}V${bottom(row + 1)}`);
      if (row && mask[at] !== mask[at - columns]) edges.push(`M${POSITION * column} ${POSITION * row}H${right(column + 1)}`);
    }
  }
  return [areas.join(""), edges.join("")];
}
