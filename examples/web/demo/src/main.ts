// The page: one session, one stage, and everything around them brought up to date whenever something changes.

import { Client, type FileFacts, previewOf } from "semcomp";
import { Controls } from "./controls";
import { arrowKeys, byId, show } from "./dom";
import { startIntake } from "./intake";
import { Keeping } from "./keeping";
import { clearNotices, Progress, showError, showRemark, stepName } from "./notices";
import type { Source } from "./pipeline";
import { Restoring } from "./restoring";
import { Session } from "./session";
import { Stage, type View } from "./stage";
import { showFacts, showTimings } from "./tables";
import { startTheme } from "./theme";
import { ASK_A_HEAD, dimensions, NOTHING_KNOWN, percent, size, thousands } from "./words";

const SAMPLE = "photo.png";

const client = new Client({ graphs: "graphs/" });
let ready: Promise<void>;
const progress = new Progress();
let view: View = "picture";
let drawn: { decoded: unknown; map: unknown } = { decoded: null, map: null };

const session = new Session(client, {
  changed: (fresh) => refresh(fresh),
  progress: (step, share) => progress.report(step === "read" ? "Reading the file" : stepName(step), share),
  failed: (error) => {
    progress.done("");
    showError(error);
  },
  remark: showRemark,
});
const stage = new Stage(showZoom, showCompare);
const restoring = new Restoring(client, {
  changed: () => {
    drawLayers();
    showTags();
    progress.done("JPEG file restored");
  },
  progress: (share) => progress.report(stepName("restoration"), share),
  failed: (error) => {
    progress.done("");
    showError(error);
  },
});
const keeping = new Keeping(session, stage, () => view);
const controls = new Controls(session, (number) => keeping.toggleClass(number), latentsOnlySwitched);

function refresh(fresh: boolean): void {
  const { source, file } = session;
  document.body.dataset["state"] = source ? "ready" : "empty";
  show(byId("welcome"), !source);
  show(byId("workspace"), source !== null);
  show(byId("controls"), source !== null);
  if (!source) return;
  if (fresh) {
    const photo = source.kind === "photo" ? source.photo : null;
    const [width, height] = photo ? [photo.pixels.width, photo.pixels.height] : [file!.facts.width, file!.facts.height];
    document.title = `${source.name} · semcomp`;
    byId("source").textContent = `${source.name} · ${dimensions(width, height)}`;
    drawn = { decoded: null, map: null };
    stage.begin(width, height, photo?.pixels ?? null);
    if (source.kind === "file") void blurUp(source);
    const focused = document.activeElement;
    if (focused === document.body || byId("welcome").contains(focused)) stage.element.focus({ preventScroll: true });
  }
  drawLayers();
  showCompare();
  controls.show();
  keeping.show();
  showTimings(session.times, session.facts);
  showFacts(file?.facts ?? null);
  showTags();
  if (!session.working && file) progress.done(summary());
}

/** Shows the thumbnail that a file carries until the file is decoded. */
async function blurUp(source: Source & { kind: "file" }): Promise<void> {
  const preview = await previewOf(source.bytes);
  const waits = session.source === source && !session.decoded && !session.latentsOnly && drawn.decoded === null;
  if (preview && waits) stage.setPreview(preview);
}

/** Draws what is not on the stage yet; an old picture stays until the next one is there. */
function drawLayers(): void {
  const { latentsOnly, segmentation } = session;
  const restored = view === "restore";
  const decoded = restored ? restoring.picture : session.decoded;
  if (decoded !== drawn.decoded && (decoded || latentsOnly || restored)) {
    stage.setDecoded(decoded);
    drawn.decoded = decoded;
  }
  const pending = !session.answer && !session.usesReference && session.headFacts?.task === "segment";
  if (segmentation !== drawn.map && !pending) {
    stage.setMap(segmentation);
    drawn.map = segmentation;
  }
  stage.setOpacity(latentsOnly ? 1 : Number(byId<HTMLInputElement>("opacity").value) / 100);
  byId<HTMLInputElement>("opacity").disabled = latentsOnly;
  byId("map-hint").textContent = pending ? "" : mapHint();
}

function mapHint(): string {
  const { segmentation, mask, headFacts, answer } = session;
  if (!segmentation) return headFacts || answer ? "This head gives labels. Choose one that gives a label map." : ASK_A_HEAD;
  if (!segmentation.labels.length) return NOTHING_KNOWN;
  return mask ? "Click a class, here or in the list, to keep it" : "";
}

function showTags(): void {
  const { source, file, latentsOnly, decoded } = session;
  if (source?.kind === "photo") byId("tag-left").textContent = `Original · ${size(source.photo.fileBytes)}`;
  if (view === "restore") {
    byId("tag-right").textContent = restoring.picture ? "Restored" : "";
    show(byId("stage-note"), false);
    return;
  }
  const undecoded = latentsOnly && !decoded;
  if (file) byId("tag-right").textContent = `${undecoded ? "Latents" : "semcomp"} · ${size(file.facts.bytes)}`;
  const note = byId("stage-note");
  const made = view === "picture" && !undecoded && session.synthesised !== "" && !!file;
  const hatched = view === "picture" || (view === "keep" && source?.kind === "file");
  const partly = !undecoded && hatched && !made && !!file?.facts.keepMask;
  show(note, undecoded || partly || made);
  note.classList.toggle("hatched", partly);
  note.classList.toggle("made", made);
  if (undecoded) note.textContent = `The decoder has not run (${session.decoderRuns} runs)`;
  else note.textContent = made ? inventedBy(file.facts) : partly ? "not stored" : "";
}

/** How much of the picture is no photograph. */
function inventedBy({ kept, completion }: FileFacts): string {
  return `${kept === null ? "all of it" : percent(1 - kept)} synthesised by ${completion}`;
}

function summary(): string {
  const { file, latentsOnly, decoded } = session;
  if (!file) return "";
  const bytes = `${thousands(file.facts.bytes)} bytes`;
  return latentsOnly ? `${bytes}, read without decoding` : decoded ? `${bytes}, decoded` : bytes;
}

function setView(next: View): void {
  view = next;
  document.body.dataset["view"] = view;
  for (const tab of document.querySelectorAll<HTMLButtonElement>("[role=tab]")) {
    const chosen = tab.dataset["view"] === view;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen) stage.element.setAttribute("aria-labelledby", tab.id);
  }
  show(byId("picture-tools"), view === "picture");
  show(byId("map-tools"), view === "map");
  show(byId("keep-tools"), view === "keep");
  show(byId("restore-tools"), view === "restore");
  stage.setView(view);
  if (!session.source) return;
  if (view === "restore") restoring.begin();
  drawLayers();
  showTags();
  keeping.show();
}

/** The map is what can be seen of latents alone. */
function latentsOnlySwitched(on: boolean): void {
  if (on && session.headFacts?.task !== "classify" && view === "picture") setView("map");
}

/** Which of both sides are seen. */
function showCompare(): void {
  const photo = session.source?.kind === "photo";
  show(byId("compare"), photo);
  byId("picture-hint").textContent = photo ? "" : "Opened without its original.";
  for (const button of byId("compare").querySelectorAll("button")) {
    const share = Number(button.dataset["share"]);
    button.setAttribute("aria-pressed", String(share === stage.divider.share || (share === 0.5 && stage.divider.isInside)));
  }
}

function showZoom(): void {
  const { viewport } = stage;
  byId("zoom-share").textContent = `${Math.round(100 * viewport.scale * devicePixelRatio)} %`;
  byId("zoom-fit").setAttribute("aria-pressed", String(viewport.fitted));
  byId("zoom-actual").setAttribute("aria-pressed", String(viewport.isActual));
}

function open(file: Blob, name: string): void {
  clearNotices();
  byId("welcome").classList.add("busy");
  void ready
    .then(() => (session.facts ? undefined : (ready = start())))
    .then(() => restoring.open(file, session.facts?.restores ?? false))
    .then(() => session.open(file, name))
    .then(() => view === "restore" && setView(restoring.available ? "restore" : "picture"))
    .finally(() => byId("welcome").classList.remove("busy"));
}

/** Loads what every file needs. A failure is shown, and tried again when the next file is opened. */
function start(): Promise<void> {
  return session.start().then(() => progress.done(""), (error: unknown) => {
    progress.done("");
    showError(error);
  });
}

async function openSample(): Promise<void> {
  const answer = await fetch(SAMPLE);
  if (!answer.ok) throw new Error(`the sample picture ${SAMPLE} is not here (${answer.status}); open one of your own`);
  open(await answer.blob(), SAMPLE);
}

/** Keeps the page for the time without a network. Pages of tests and private windows may have no service workers. */
function keepOffline(): void {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.register("offline.js").catch((error: unknown) => console.info("not kept offline:", error));
}

startTheme();
startIntake(open, showRemark);
for (const tab of document.querySelectorAll<HTMLButtonElement>("[role=tab]")) {
  tab.addEventListener("click", () => setView(tab.dataset["view"] as View));
}
arrowKeys(document.querySelector<HTMLElement>("[role=tablist]")!, (tab) => setView(tab.dataset["view"] as View));
for (const button of byId("compare").querySelectorAll("button")) {
  button.addEventListener("click", () => stage.divider.set(Number(button.dataset["share"])));
}
byId("opacity").addEventListener("input", drawLayers);
byId("zoom-in").addEventListener("click", () => stage.viewport.zoom(1));
byId("zoom-out").addEventListener("click", () => stage.viewport.zoom(-1));
byId("zoom-fit").addEventListener("click", () => stage.viewport.fit());
byId("zoom-actual").addEventListener("click", () => stage.viewport.actual());
byId("sample").addEventListener("click", () => void openSample().catch(showError));
setView("picture");
ready = start();
addEventListener("load", keepOffline);
