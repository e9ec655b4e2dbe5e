// What the page says besides its content: errors, remarks, and how far the work is.

import { SemcompError, type Step } from "semcomp";
import { byId, make, show } from "./dom";

const TITLES: Record<SemcompError["kind"], string> = {
  format: "This file cannot be opened",
  model: "The model is missing, or does not fit",
  image: "This picture cannot be used",
  memory: "This is too large here",
  network: "This could not be loaded",
};

const STEPS: Record<Step, string> = {
  engine: "Starting the engine",
  download: "Loading the model",
  analysis: "Analysing the photo",
  quantize: "Choosing the symbols",
  entropy: "Entropy coding",
  latents: "Reading the latents",
  synthesis: "Decoding the picture",
  generator: "Synthesising what is not stored",
  head: "Recognising",
  map: "Drawing the label map",
  exact: "Decoding the exact pixels",
  restoration: "Restoring the JPEG file",
};

/** What a step is called while it runs. */
export const stepName = (step: Step): string => STEPS[step];

/** Shows an error until it is dismissed or something else is opened. */
export function showError(error: unknown): void {
  const title = error instanceof SemcompError ? TITLES[error.kind] : "Something went wrong";
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof SemcompError)) console.error(error);
  add("alert", title, sentence(message));
}

/** Shows a remark that is no error. */
export function showRemark(text: string): void {
  add("status", "", sentence(text));
}

/** Takes all notices away. */
export function clearNotices(): void {
  byId("notices").replaceChildren();
}

function add(role: "alert" | "status", title: string, text: string): void {
  const close = make("button", { type: "button", class: "button icon", "aria-label": "Dismiss" }, "×");
  const words = make("p", {}, ...(title ? [make("strong", {}, `${title}. `)] : []), text);
  const notice = make("div", { class: `notice ${role}`, role }, words, close);
  close.addEventListener("click", () => notice.remove());
  const list = byId("notices");
  for (const old of [...list.children]) if (old.textContent === notice.textContent) old.remove();
  list.append(notice);
}

function sentence(text: string): string {
  const first = text.charAt(0);
  const start = /^\S*[._/]/.test(text) ? first : first.toUpperCase(); // a file's name stays as it is
  return `${start}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** The bar and the line below the picture, or below the drop zone while there is none. */
export class Progress {
  private last = "";

  /** `share` 0..1, or null where it is not known. */
  report(text: string, share: number | null): void {
    const bar = byId("progress");
    show(bar, true);
    bar.classList.toggle("unknown", share === null);
    if (share === null) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    (bar.firstElementChild as HTMLElement).style.width = share === null ? "" : `${100 * share}%`;
    this.say(`${text}…`);
  }

  /** Ends the bar and leaves a sentence behind. */
  done(text: string): void {
    show(byId("progress"), false);
    this.say(text);
  }

  private say(text: string): void {
    if (text !== this.last) byId("status").textContent = text; // a reader speaks it once
    this.last = text;
  }
}
