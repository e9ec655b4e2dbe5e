// What a head says: labels with bars, or the legend of a label map whose classes can be chosen.

import type { Label, Segmentation } from "semcomp";
import { make } from "./dom";
import { POSITION } from "./mask";
import { percent } from "./words";

const MOST = 8;
/** Of a picture; classes that cover less are left out of a legend. */
const LEAST_SHARE = 0.0005;

/** Labels, the best first, with bars of their scores. */
export function labelRows(labels: Label[]): HTMLElement[] {
  return labels.slice(0, MOST).map(({ name, score }) => make("li", { class: "label" }, ...named(name, score), bar(score)));
}

export interface Legend {
  labels: Label[];
  classes: string[];
  palette: [number, number, number][];
}

/** Classes by the share of the positions in `part`, 1 for each that counts, that they cover. */
export function areasWithin(answer: Segmentation, part: Uint8Array): Label[] {
  const { map, width, height, classes } = answer;
  const counts = new Array<number>(256).fill(0); // VOID is counted too, and shown nowhere
  const columns = Math.ceil(width / POSITION);
  let all = 0;
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(y / POSITION) * columns;
    for (let x = 0; x < width; x++, at++) {
      if (!part[row + Math.floor(x / POSITION)]) continue;
      counts[map[at]!]!++;
      all++;
    }
  }
  const labels = classes.map((name, number) => ({ name, score: counts[number]! / all }));
  return labels.sort((a, b) => b.score - a.score);
}

/** Classes by area. Where `choose` is given, each is a button that says whether the class is kept. */
export function legendRows(
  legend: Legend, kept: (number: number) => boolean, choose: ((number: number) => void) | null,
): HTMLElement[] {
  return legend.labels.filter(({ score }) => score >= LEAST_SHARE).map(({ name, score }) => {
    const number = legend.classes.indexOf(name);
    const swatch = make("i", { class: "swatch" });
    swatch.style.background = `rgb(${(legend.palette[number] ?? [128, 128, 128]).join(" ")})`;
    if (!choose) return make("li", { class: "label class" }, swatch, ...named(name, score), bar(score));
    const pressed = String(kept(number));
    const button = make("button", {
      type: "button", class: "label class", "aria-pressed": pressed, "data-class": String(number),
      title: pressed === "true" ? `${name} is kept; click to release it` : `Click to keep ${name}`,
    }, swatch, ...named(name, score), make("span", { class: "mark", "aria-hidden": "true" }, pressed === "true" ? "kept" : "keep"), bar(score));
    button.addEventListener("click", () => choose(number));
    return make("li", {}, button);
  });
}

function named(name: string, score: number): HTMLElement[] {
  return [make("span", { class: "name" }, name || "unnamed"), make("span", { class: "score" }, percent(score))];
}

function bar(score: number): HTMLElement {
  const filled = make("i");
  filled.style.width = `${Math.max(0.5, 100 * score)}%`;
  return make("span", { class: "meter", "aria-hidden": "true" }, filled);
}
