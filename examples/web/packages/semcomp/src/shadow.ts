// What <semc-img> draws: a preview below, the picture above it, and words in place of both.
import { drawStretched } from "./thumb.ts";

/** What decides the size of the element: its attributes, and the picture's own size. */
export interface ImageBox {
  width: number | null;
  height: number | null;
  natural: { width: number; height: number } | null;
}

/** Pixels of the preview's longer side: enough that stretching it further shows no blocks. */
const PREVIEW_SIDE = 256;
const STYLE = `
  :host { display: inline-block; position: relative; overflow: hidden; max-width: 100%; vertical-align: bottom; }
  :host([hidden]) { display: none; }
  [part=box] { object-fit: inherit; object-position: inherit; }
  canvas { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: inherit; object-position: inherit; }
  .picture { opacity: 0; }
  [data-state=ready] .picture { opacity: 1; transition: opacity 0.2s; }
  [data-state=ready] .preview { opacity: 0; transition: opacity 0.2s 0.2s; }
  .fallback { display: none; }
  [data-state=broken] canvas { display: none; }
  [data-state=broken] .fallback { display: block; font: 0.875rem/1.4 system-ui, sans-serif; }
  [data-state=broken] .reason { opacity: 0.7; }
  @media (prefers-reduced-motion: reduce) { [data-state=ready] canvas { transition: none; } }
`;
const CONTENT = `
  <div part="box"><canvas class="preview" part="preview" aria-hidden="true" hidden></canvas>
  <canvas class="picture" part="picture" width="1" height="1"></canvas>
  <div class="fallback" part="fallback"><slot><span class="alt"></span> <span class="reason"></span></slot></div></div>
`;

let shared: CSSStyleSheet | null = null;

/** The rules that all elements share. A sheet that scripts make is allowed where a policy forbids inline styles. */
function commonSheet(): CSSStyleSheet {
  if (shared) return shared;
  shared = new CSSStyleSheet();
  shared.replaceSync(STYLE);
  return shared;
}

/** The rule that gives an element the size that an <img> of these attributes has. CSS of the page comes before it. */
export function sizeRule({ width, height, natural }: ImageBox): string {
  const both = width !== null && height !== null;
  const ratio = both ? width / height : natural && natural.width / natural.height;
  const wide = width ?? (height !== null && ratio ? height * ratio : (natural?.width ?? null));
  const tall = both || !natural ? height : null;
  const rules = [
    wide === null ? "" : `width: ${round(wide)}px;`,
    tall === null ? "" : `height: ${round(tall)}px;`,
    ratio ? `aspect-ratio: ${both ? `${width} / ${height}` : `${natural!.width} / ${natural!.height}`};` : "",
  ];
  return `:host { ${rules.filter(Boolean).join(" ")} }`;
}

function round(value: number): number {
  return Math.round(100 * value) / 100;
}

export class Shadow {
  private readonly size = new CSSStyleSheet();
  private readonly box: HTMLElement;
  private readonly picturePlane: HTMLCanvasElement;
  private readonly previewPlane: HTMLCanvasElement;

  constructor(private readonly root: ShadowRoot) {
    root.adoptedStyleSheets = [commonSheet(), this.size];
    root.innerHTML = CONTENT;
    this.box = root.querySelector("div")!;
    this.picturePlane = root.querySelector<HTMLCanvasElement>(".picture")!;
    this.previewPlane = root.querySelector<HTMLCanvasElement>(".preview")!;
  }

  layOut(box: ImageBox): void {
    this.size.replaceSync(sizeRule(box));
  }

  /** The name that assistive technology reads: alt. An empty one says that the picture is decoration. */
  name(alt: string | null): void {
    const plane = this.picturePlane;
    plane.setAttribute("role", alt === "" ? "presentation" : "img");
    if (alt) plane.setAttribute("aria-label", alt);
    else plane.removeAttribute("aria-label");
  }

  clear(): void {
    this.box.dataset["state"] = "waiting";
    this.previewPlane.hidden = true;
    this.picturePlane.width = this.picturePlane.height = 1;
    this.picturePlane.removeAttribute("title");
  }

  /** Shows a small picture, stretched to a ratio and smoothed, until the picture itself is there. */
  preview(small: ImageData, ratio: readonly [number, number]): void {
    drawStretched(this.previewPlane, small, ratio, PREVIEW_SIDE);
    this.previewPlane.hidden = false;
  }

  /** Shows the picture. `synthesised` says what of it a generator made, and is its tooltip. */
  picture(data: ImageData, synthesised: string): void {
    this.picturePlane.width = data.width;
    this.picturePlane.height = data.height;
    this.picturePlane.getContext("2d")?.putImageData(data, 0, 0);
    if (synthesised) this.picturePlane.title = synthesised;
    this.box.dataset["state"] = "ready";
  }

  /** Shows what the page put inside the element, or else alt and the reason. */
  broken(alt: string, reason: string): void {
    this.root.querySelector(".alt")!.textContent = alt;
    this.root.querySelector(".reason")!.textContent = `(${reason})`;
    this.box.dataset["state"] = "broken";
  }
}
