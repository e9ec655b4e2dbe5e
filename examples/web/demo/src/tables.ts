// The two tables below the controls: how long each step took, and what the file says of itself.

import type { ClientFacts, FileFacts, Step } from "semcomp";
import { byId, make } from "./dom";
import { stepName } from "./notices";
import { bytesToAnswer, lasting, type Stage, type Times } from "./times";
import { NOTHING_KNOWN, bitsAPixel, dimensions, milliseconds, percent, thousands } from "./words";

const STAGES: Record<Stage, string> = {
  analyse: "Analyse the photo", encode: "Encode", open: "Open the file", decode: "Decode", answer: "Recognise",
};

/** One line a stage with its steps below. */
export function showTimings(times: Times, facts: ClientFacts | null): void {
  const rows: HTMLElement[] = [];
  for (const stage of Object.keys(STAGES) as Stage[]) {
    const each = times.get(stage);
    if (!each) continue;
    rows.push(row("group", STAGES[stage], milliseconds(lasting(each))));
    for (const [step, time] of Object.entries(each) as [Step | "total", number][]) {
      if (step === "total") continue;
      const once = step === "download" || step === "engine";
      rows.push(row("step", once ? "Loading, once" : stepName(step), milliseconds(time)));
    }
  }
  const answer = bytesToAnswer(times);
  if (answer !== null) rows.push(row("group", "From bytes to answer", milliseconds(answer)));
  if (facts) {
    const threads = facts.threads === 1 ? "one thread" : `${facts.threads} threads`;
    rows.push(row("remark", "WebAssembly", `${facts.simd ? "SIMD" : "no SIMD"}, ${threads}`));
  }
  byId<HTMLTableElement>("timings").tBodies[0]!.replaceChildren(...rows);
}

/** What the header and the chunks say. */
export function showFacts(facts: FileFacts | null): void {
  const rows: HTMLElement[] = [];
  const add = (name: string, value: string, kind = "fact") => rows.push(row(kind, name, value));
  if (facts) {
    add("Picture", `${dimensions(facts.width, facts.height)}, ${facts.mode === "L" ? "grey" : "RGB"}${facts.hasAlpha ? ", alpha" : ""}`);
    if (facts.exact) {
      const { near, bits } = facts.exact;
      add("Pixels", `${near ? `at most ${near} off` : "exact"}${bits > 8 ? `, ${bits} bits` : ""}`);
    }
    if (facts.hasLatents) add("Quality", String(facts.quality));
    add("Size", `${thousands(facts.bytes)} bytes, ${bitsAPixel(facts.bpp)} bpp`);
    add("Codec", facts.codecName ?? "–");
    add("Entropy id", facts.entropyId, "fact id");
    add("Model id", facts.modelId, "fact id");
    if (facts.kept !== null) add("Stored", `${percent(facts.kept)} of the picture`);
    if (facts.generator !== null) add("Made for generator", facts.generator || "unnamed");
    for (const { name, score } of facts.storedLabels) {
      add(`Label ${name}`, facts.labelsAreAreas ? `covers ${percent(score)}` : percent(score));
    }
    if (facts.labelsSource !== null && !facts.storedLabels.length) add("Labels", NOTHING_KNOWN);
    for (const { name, bytes } of facts.chunks) add(`Chunk ${name}`, `${thousands(bytes)} bytes`);
    for (const warning of facts.warnings) add("Warning", warning);
  }
  byId<HTMLTableElement>("facts").tBodies[0]!.replaceChildren(...rows);
}

function row(kind: string, name: string, value: string): HTMLElement {
  return make("tr", { class: kind }, make("th", { scope: "row" }, name), make("td", {}, value));
}
