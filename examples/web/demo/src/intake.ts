// How a file comes in: the button, a drop anywhere in the window, or the clipboard.

import { byId } from "./dom";

/** Wires every way in; `open` gets the file. `refuse` gets a sentence where something else was dropped. */
export function startIntake(open: (file: Blob, name: string) => void, refuse: (sentence: string) => void): void {
  const input = byId<HTMLInputElement>("file");
  for (const id of ["open", "drop"]) byId(id).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) open(file, file.name);
    input.value = ""; // the same file may be chosen again
  });
  startDrop(open, refuse);
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    open(file, file.name || "pasted.png");
  });
}

function startDrop(open: (file: Blob, name: string) => void, refuse: (sentence: string) => void): void {
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  let depth = 0; // enter and leave come for every element on the way
  const mark = () => document.body.classList.toggle("is-dropping", depth > 0);
  window.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth++;
    mark();
  });
  window.addEventListener("dragleave", (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    mark();
  });
  window.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  window.addEventListener("drop", (event) => {
    depth = 0;
    mark();
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const [file, more] = event.dataTransfer?.files ?? [];
    if (!file) refuse("What you dropped holds no file. Drop a photo or a .semc file.");
    else if (more) refuse("You dropped several files. This page shows one at a time; semcomp encode takes whole folders.");
    else open(file, file.name);
  });
}
