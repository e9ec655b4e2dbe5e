// Zoom and pan: a plane of the picture's own size, moved and scaled inside the stage.

export interface Point {
  x: number;
  y: number;
}

const STEP = 1.25;
const LARGEST = 32;
/** How far a picture smaller than the stage is enlarged to fill it. */
const LARGEST_FIT = 4;

export class Viewport {
  /** CSS pixels a pixel of the picture. */
  scale = 1;
  /** Where the picture's corner lies in the stage, CSS pixels. */
  x = 0;
  y = 0;
  /** Whether the picture follows the size of the stage. */
  fitted = true;
  private width = 1;
  private height = 1;

  /** `changed` is called after every move. */
  constructor(
    private readonly stage: HTMLElement,
    private readonly plane: HTMLElement,
    private readonly changed: () => void,
  ) {
    new ResizeObserver(() => (this.fitted ? this.fit() : this.settle())).observe(stage);
  }

  setPicture(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.plane.style.width = `${width}px`;
    this.plane.style.height = `${height}px`;
    this.fit();
  }

  fit(): void {
    this.fitted = true;
    this.scale = this.fitScale();
    this.settle();
  }

  /** One pixel of the picture is one of the screen. */
  actual(): void {
    this.zoomTo(1 / devicePixelRatio);
  }

  get isActual(): boolean {
    return Math.abs(this.scale * devicePixelRatio - 1) < 1e-6;
  }

  zoom(direction: 1 | -1, at?: Point): void {
    this.zoomTo(this.scale * (direction > 0 ? STEP : 1 / STEP), at);
  }

  /** Scales while the point `at` of the stage stays where it is; the middle where none is given. */
  zoomTo(scale: number, at: Point = { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 }): void {
    const smallest = Math.min(this.fitScale(), 1 / devicePixelRatio);
    const next = Math.min(Math.max(scale, smallest), LARGEST);
    this.x = at.x - ((at.x - this.x) / this.scale) * next;
    this.y = at.y - ((at.y - this.y) / this.scale) * next;
    this.scale = next;
    this.fitted = false;
    this.settle();
  }

  pan(dx: number, dy: number): void {
    this.x += dx;
    this.y += dy;
    this.settle();
  }

  /** Moves the picture as little as brings a rectangle of it into view. */
  reveal(x: number, y: number, side: number): void {
    const inside = (start: number, stage: number) => Math.max(0, -start) - Math.max(0, start + side * this.scale - stage);
    this.pan(
      inside(this.x + x * this.scale, this.stage.clientWidth),
      inside(this.y + y * this.scale, this.stage.clientHeight),
    );
  }

  /** The pixel of the picture below a point of the window; it may lie outside the picture. */
  pixelAt(clientX: number, clientY: number): Point {
    const box = this.stage.getBoundingClientRect();
    return { x: (clientX - box.left - this.x) / this.scale, y: (clientY - box.top - this.y) / this.scale };
  }

  /** A point of the window in the stage's own coordinates. */
  local(clientX: number, clientY: number): Point {
    const box = this.stage.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  }

  /** Left and right edge of the part of the picture that can be seen, in the stage's coordinates. */
  get visible(): { left: number; right: number } {
    return {
      left: Math.max(0, this.x),
      right: Math.min(this.stage.clientWidth, this.x + this.width * this.scale),
    };
  }

  private fitScale(): number {
    const { clientWidth, clientHeight } = this.stage;
    return Math.min(clientWidth / this.width, clientHeight / this.height, LARGEST_FIT) || 1;
  }

  /** Keeps the picture in the stage: centred where it is smaller, without a gap where it is larger. */
  private settle(): void {
    const hold = (at: number, size: number, room: number) =>
      size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at));
    this.x = hold(this.x, this.width * this.scale, this.stage.clientWidth);
    this.y = hold(this.y, this.height * this.scale, this.stage.clientHeight);
    this.plane.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.plane.style.setProperty("--px", String(1 / this.scale)); // what is one pixel of the screen
    this.plane.classList.toggle("magnified", this.scale * devicePixelRatio >= 2);
    this.changed();
  }
}
