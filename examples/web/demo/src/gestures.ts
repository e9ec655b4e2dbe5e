// What pointers and keys do on the stage: move and zoom the picture, point at a class, paint positions.

import { POSITION } from "./mask";
import type { Stage, View } from "./stage";
import type { Point } from "./viewport";

const CLICK_REACH = 5;
const KEY_STEP = 60;

export interface Listener {
  view(): View;
  /** Whether positions can be painted now. */
  paints(): boolean;
  /** Size of the brush in positions. */
  brush(): number;
  size(): { width: number; height: number };
  /** The start of a stroke, each position that it passes, and its end. */
  strokeStart(): void;
  stroke(column: number, row: number): void;
  strokeEnd(): void;
  /** The keyboard's cursor has moved. */
  pointed(column: number, row: number): void;
  /** A click in a view without painting, and the pixel below the pointer, or null outside. */
  click(pixel: Point): void;
  hover(pixel: Point | null, at: Point): void;
}

export class Gestures {
  private readonly pointers = new Map<number, Point>();
  private start: Point = { x: 0, y: 0 };
  private moved = false;
  private last: { column: number; row: number } | null = null;
  private spread = 0;
  /** Where the keyboard paints. */
  private key = { column: 0, row: 0 };

  constructor(private readonly stage: Stage, private readonly listener: Listener) {
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"] as const) {
      element.addEventListener(end, (event) => this.up(event, end === "pointerup"));
    }
    element.addEventListener("pointerleave", () => this.leave());
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.press(event));
    element.addEventListener("keyup", (event) => {
      if (event.key === " ") stage.peek(false);
    });
    element.addEventListener("blur", () => {
      stage.peek(false);
      stage.setCursor(null);
    });
  }

  private down(event: PointerEvent): void {
    if (event.button > 1) return;
    this.stage.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.start = { x: event.clientX, y: event.clientY };
    this.moved = false;
    if (this.pointers.size === 2) {
      if (this.last) this.endStroke();
      this.spread = this.distance();
    } else if (this.listener.paints() && event.button === 0) {
      this.listener.strokeStart();
      this.strokeTo(this.positionAt(event));
    }
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    this.point(event);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    this.moved ||= Math.hypot(now.x - this.start.x, now.y - this.start.y) > CLICK_REACH;
    this.pointers.set(event.pointerId, now);
    const { viewport, element } = this.stage;
    if (this.pointers.size === 2) {
      const spread = this.distance();
      const [a, b] = [...this.pointers.values()] as [Point, Point];
      viewport.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      viewport.zoomTo((viewport.scale * spread) / this.spread, viewport.local((a.x + b.x) / 2, (a.y + b.y) / 2));
      this.spread = spread;
    } else if (this.last) {
      this.strokeTo(this.positionAt(event));
    } else if (this.moved) {
      element.classList.add("panning");
      viewport.pan(now.x - before.x, now.y - before.y);
    }
  }

  private up(event: PointerEvent, released: boolean): void {
    const was = this.pointers.delete(event.pointerId);
    this.stage.element.classList.remove("panning");
    if (this.last) this.endStroke();
    else if (was && released && !this.moved && !this.pointers.size) this.clickAt(event);
  }

  private clickAt(event: PointerEvent): void {
    const pixel = this.stage.viewport.pixelAt(event.clientX, event.clientY);
    if (this.inside(pixel)) this.listener.click(pixel);
  }

  private leave(): void {
    this.listener.hover(null, { x: 0, y: 0 });
    if (!this.last) this.stage.setCursor(null);
  }

  private wheel(event: WheelEvent): void {
    const pageScrolls = document.documentElement.scrollHeight > innerHeight + 1;
    if (pageScrolls && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { viewport } = this.stage;
    viewport.zoomTo(viewport.scale * Math.exp(-event.deltaY / 400), viewport.local(event.clientX, event.clientY));
  }

  private press(event: KeyboardEvent): void {
    if (event.target !== this.stage.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const { viewport } = this.stage;
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (event.key === "+" || event.key === "=") viewport.zoom(1);
    else if (event.key === "-") viewport.zoom(-1);
    else if (event.key === "0") viewport.fit();
    else if (event.key === "1") viewport.actual();
    else if (this.listener.paints() && (dx || dy)) this.moveKey(dx!, dy!);
    else if (this.listener.paints() && (event.key === " " || event.key === "Enter")) this.paintKey();
    else if (dx || dy) viewport.pan(-dx! * KEY_STEP, -dy! * KEY_STEP);
    else if (event.key === " ") this.stage.peek(true);
    else return;
    event.preventDefault();
  }

  private moveKey(dx: number, dy: number): void {
    const { columns, rows } = this.grid();
    this.key.column = Math.min(columns - 1, Math.max(0, this.key.column + dx));
    this.key.row = Math.min(rows - 1, Math.max(0, this.key.row + dy));
    this.stage.viewport.reveal(this.key.column * POSITION, this.key.row * POSITION, POSITION);
    this.stage.setCursor({ ...this.key, size: this.listener.brush() });
    this.listener.pointed(this.key.column, this.key.row);
  }

  private paintKey(): void {
    this.listener.strokeStart();
    this.listener.stroke(this.key.column, this.key.row);
    this.listener.strokeEnd();
    this.stage.setCursor({ ...this.key, size: this.listener.brush() });
    this.listener.pointed(this.key.column, this.key.row);
  }

  private point(event: PointerEvent): void {
    const pixel = this.stage.viewport.pixelAt(event.clientX, event.clientY);
    const inside = this.inside(pixel);
    this.listener.hover(inside ? pixel : null, this.stage.viewport.local(event.clientX, event.clientY));
    if (this.listener.view() !== "keep") return;
    const shown = inside && this.listener.paints() && event.pointerType !== "touch";
    this.stage.setCursor(shown ? { ...this.positionAt(event), size: this.listener.brush() } : null);
    if (shown) this.key = this.positionAt(event);
  }

  /** Paints along the line from the last position, so that a fast stroke has no gaps. */
  private strokeTo(to: { column: number; row: number }): void {
    const from = this.last ?? to;
    const steps = Math.max(1, Math.abs(to.column - from.column), Math.abs(to.row - from.row));
    for (let step = this.last ? 1 : steps; step <= steps; step++) {
      const at = (a: number, b: number) => Math.round(a + ((b - a) * step) / steps);
      this.listener.stroke(at(from.column, to.column), at(from.row, to.row));
    }
    this.last = to;
  }

  private endStroke(): void {
    this.last = null;
    this.listener.strokeEnd();
  }

  private positionAt(event: PointerEvent): { column: number; row: number } {
    const pixel = this.stage.viewport.pixelAt(event.clientX, event.clientY);
    return { column: Math.floor(pixel.x / POSITION), row: Math.floor(pixel.y / POSITION) };
  }

  private grid(): { columns: number; rows: number } {
    const { width, height } = this.listener.size();
    return { columns: Math.ceil(width / POSITION), rows: Math.ceil(height / POSITION) };
  }

  private inside({ x, y }: Point): boolean {
    const { width, height } = this.listener.size();
    return x >= 0 && y >= 0 && x < width && y < height;
  }

  private distance(): number {
    const [a, b] = [...this.pointers.values()] as [Point, Point];
    return Math.hypot(a.x - b.x, a.y - b.y);
  }
}
