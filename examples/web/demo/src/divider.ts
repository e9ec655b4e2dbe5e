// The draggable line between the original and what was decoded.

const STEP = 2;
const LARGE_STEP = 10;

export class Divider {
  /** Of the part of the picture that can be seen, how much shows the original. */
  share = 0.5;

  /** `range` tells the edges of that part in the stage's coordinates; `moved` is called after every move. */
  constructor(
    private readonly stage: HTMLElement,
    private readonly handle: HTMLElement,
    private readonly range: () => { left: number; right: number },
    private readonly moved: () => void,
  ) {
    handle.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary) return; // the second finger of a pinch
      event.preventDefault();
      event.stopPropagation();
      handle.focus({ preventScroll: true });
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) this.dragTo(event.clientX);
    });
    handle.addEventListener("keydown", (event) => this.press(event));
  }

  /** Where the line stands, in the stage's coordinates. */
  get position(): number {
    const { left, right } = this.range();
    return left + this.share * (right - left);
  }

  /** Whether it cuts the picture, rather than showing one side alone. */
  get isInside(): boolean {
    return this.share > 0 && this.share < 1;
  }

  /** Brings the handle to where it belongs. */
  place(): void {
    const percent = Math.round(100 * this.share);
    this.handle.style.left = `${this.position}px`;
    this.handle.setAttribute("aria-valuenow", String(percent));
    this.handle.setAttribute("aria-valuetext", `${percent} % original, ${100 - percent} % decoded`);
  }

  private dragTo(clientX: number): void {
    const { left, right } = this.range();
    this.set((clientX - this.stage.getBoundingClientRect().left - left) / Math.max(1, right - left));
  }

  private press(event: KeyboardEvent): void {
    const step = (event.shiftKey ? LARGE_STEP : STEP) / 100;
    const next = {
      ArrowLeft: this.share - step, ArrowDown: this.share - step, ArrowRight: this.share + step,
      ArrowUp: this.share + step, PageUp: this.share + LARGE_STEP / 100, PageDown: this.share - LARGE_STEP / 100,
      Home: 0, End: 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.set(next);
  }

  set(share: number): void {
    this.share = Math.min(1, Math.max(0, share));
    this.moved();
  }
}
