// <semc-img src="photo.semc" alt="...">: a .semc file where an <img> would be. Importing this module defines it.
//
// Attributes: src, alt, width, height, loading ("lazy" or "eager"), thumb (a code of `semcomp thumb`, seen before the
// file arrives). CSS: object-fit, object-position, and whatever sizes a box. Events: load, error. What is inside the
// element is shown where the file cannot be, and by browsers without scripts.
import { info as readInfo, sharedClient } from "./functions.ts";
import { clearMissing, bytesOf } from "./sources.ts";
import { type ImageBox, Shadow } from "./shadow.ts";
import { decodeThumb, loadThumbTables, previewOf, thumbFromText } from "./thumb.ts";
import type { FileFacts } from "./types.ts";

export const TAG = "semc-img";
const OBSERVED = ["src", "alt", "width", "height", "loading", "thumb"] as const;
/** How far outside of the window a lazy picture begins to load. */
const MARGIN = "400px";

/** What the page asks for is another picture by now. */
class Superseded extends Error {}

export class SemcImage extends HTMLElement {
  static readonly observedAttributes = OBSERVED;

  private readonly view: Shadow;
  private request: AbortController | null = null;
  private watcher: IntersectionObserver | null = null;
  private facts: FileFacts | null = null;
  private failure: Error | null = null;
  private shown = "";
  private done = true;

  constructor() {
    super();
    this.view = new Shadow(this.attachShadow({ mode: "open" }));
  }

  get src(): string {
    const given = this.getAttribute("src");
    return given === null ? "" : new URL(given, document.baseURI).href;
  }
  set src(value: string) {
    this.setAttribute("src", value);
  }

  get alt(): string {
    return this.getAttribute("alt") ?? "";
  }
  set alt(value: string) {
    this.setAttribute("alt", value);
  }

  get loading(): "lazy" | "eager" {
    return this.getAttribute("loading")?.toLowerCase() === "lazy" ? "lazy" : "eager";
  }
  set loading(value: "lazy" | "eager") {
    this.setAttribute("loading", value);
  }

  get width(): number {
    return this.isConnected ? this.clientWidth : (pixels(this.getAttribute("width")) ?? this.naturalWidth);
  }
  set width(value: number) {
    this.setAttribute("width", String(value));
  }

  get height(): number {
    return this.isConnected ? this.clientHeight : (pixels(this.getAttribute("height")) ?? this.naturalHeight);
  }
  set height(value: number) {
    this.setAttribute("height", String(value));
  }

  /** Pixels of the file, 0 before its header was read. */
  get naturalWidth(): number {
    return this.facts?.width ?? 0;
  }
  get naturalHeight(): number {
    return this.facts?.height ?? 0;
  }

  /** The address whose picture is shown, "" before there is one. */
  get currentSrc(): string {
    return this.shown;
  }

  /** Whether there is nothing to wait for: no src, a picture, or an error. */
  get complete(): boolean {
    return this.done;
  }

  /** What went wrong with the present src, null for nothing. */
  get error(): Error | null {
    return this.failure;
  }

  /** What the file says of itself: labels, quality, how much is stored. Null before its header was read. */
  get info(): FileFacts | null {
    return this.facts;
  }

  /** Waits for the picture. It rejects where the file cannot be shown. */
  decode(): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    if (this.done && this.shown) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.addEventListener("load", () => resolve(), { once: true });
      this.addEventListener("error", () => reject(this.failure), { once: true });
    });
  }

  connectedCallback(): void {
    this.layOut();
    if (!this.request && !this.shown) this.begin();
  }

  disconnectedCallback(): void {
    this.watcher?.disconnect();
    this.watcher = null;
  }

  attributeChangedCallback(name: (typeof OBSERVED)[number], before: string | null, now: string | null): void {
    if (name === "alt") this.view.name(now);
    else if (name === "width" || name === "height") this.layOut();
    else if (name === "thumb" && this.isConnected) void this.showThumb();
    else if (!this.isConnected) return;
    else if (name === "src") this.begin();
    else if (before !== now && this.loading === "eager" && this.watcher) this.start();
  }

  /** Forgets the picture before; loads the present one, at once or when it comes near the window. */
  private begin(): void {
    this.request?.abort(new Superseded());
    this.request = null;
    this.watcher?.disconnect();
    this.watcher = null;
    this.facts = this.failure = null;
    this.shown = "";
    this.done = !this.hasAttribute("src");
    this.view.clear();
    this.view.name(this.getAttribute("alt"));
    this.layOut();
    if (this.done) return;
    void this.showThumb();
    if (this.loading === "eager") return this.start();
    this.watcher = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.start();
    }, { rootMargin: MARGIN });
    this.watcher.observe(this);
  }

  private start(): void {
    this.watcher?.disconnect();
    this.watcher = null;
    this.request = new AbortController();
    void this.load(this.src, this.request.signal);
  }

  private async load(address: string, signal: AbortSignal): Promise<void> {
    try {
      const bytes = await bytesOf(address, signal);
      signal.throwIfAborted();
      this.facts = await readInfo(bytes);
      this.layOut();
      const decoding = sharedClient().decodeFile(bytes, false, { signal });
      void this.blurUp(bytes, this.facts, signal);
      const { opened, picture } = await decoding;
      this.facts = opened.facts;
      const data = new ImageData(picture.rgba, picture.width, picture.height);
      if (opened.facts.keepMask && !picture.synthesised) clearMissing(data, opened.facts.keepMask);
      this.view.picture(data, picture.synthesised);
      this.shown = address;
      this.finish("load");
    } catch (error) {
      if (signal.aborted) return;
      this.failure = error as Error;
      this.view.broken(this.alt, this.failure.message);
      this.finish("error");
    }
  }

  private finish(event: "load" | "error"): void {
    this.done = true;
    this.dispatchEvent(new Event(event));
  }

  /** Shows the thumbnail that the file carries. */
  private async blurUp(bytes: Uint8Array, { width, height }: FileFacts, signal: AbortSignal): Promise<void> {
    const preview = await previewOf(bytes);
    if (preview && !signal.aborted && !this.done) this.view.preview(preview, [width, height]);
  }

  /** Shows the thumbnail that the page carries, before anything of the file is there. */
  private async showThumb(): Promise<void> {
    const code = this.getAttribute("thumb");
    const { src } = this;
    if (!code || this.done) return;
    try {
      const { rgba, ratio } = decodeThumb(thumbFromText(code), await loadThumbTables());
      if (this.src === src && !this.done) this.view.preview(new ImageData(rgba, 32, 32), ratio);
    } catch {
      return; // a picture without its thumbnail is still a picture
    }
  }

  private layOut(): void {
    const box: ImageBox = {
      width: pixels(this.getAttribute("width")), height: pixels(this.getAttribute("height")),
      natural: this.facts && { width: this.facts.width, height: this.facts.height },
    };
    this.view.layOut(box);
  }
}

/** A number of pixels from an attribute, as <img> reads it; null for anything else. */
function pixels(text: string | null): number | null {
  const found = text === null ? null : /^\s*(\d+)(\.\d+)?\s*(px)?\s*$/.exec(text);
  return found && Number(found[1] + (found[2] ?? ""));
}

declare global {
  interface HTMLElementTagNameMap {
    "semc-img": SemcImage;
  }
}

if (!customElements.get(TAG)) customElements.define(TAG, SemcImage);
