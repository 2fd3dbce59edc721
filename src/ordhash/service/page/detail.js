// A photograph seen closely: beside what was searched with, with what made it match.

import { ask, picture } from "./api.js";
import { openDialog } from "./dialogs.js";
import { byId, make } from "./dom.js";
import { label, largePicture, smallPicture } from "./examples.js";
import { report } from "./notices.js";
import { frame, overlay } from "./overlay.js";
import { keepRatio } from "./pictures.js";
import { shownResults } from "./results.js";
import { state } from "./state.js";
import { columnName, count, fileName, likeness, value } from "./text.js";

let shown = null; // {photograph, result}: the result is null for a photograph that was not searched for
let answer = null; // that the result is of; meanwhile a search that was under way may bring another
let example = null;
let control = new AbortController(); // of the attention map that is under way

/** `actions` are called with the photograph: search, more, less, and remove, which says whether it did. */
export function beginDetail(actions) {
  const dialog = byId("detail");
  for (const button of dialog.querySelectorAll("[data-action]")) {
    button.addEventListener("click", async () => {
      const { action } = button.dataset;
      if (action !== "remove") dialog.close();
      if (await actions[action](shown.photograph)) dialog.close();
    });
  }
  byId("detail-attention").addEventListener("change", toggleOverlays);
  byId("detail-before").addEventListener("click", () => step(-1));
  byId("detail-after").addEventListener("click", () => step(1));
  dialog.addEventListener("keydown", (event) => {
    if (event.target.type === "checkbox" || event.altKey) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("close", () => control.abort());
}

/** Show a photograph of the collection. */
export function openDetail(photograph) {
  show(photograph, null);
  openDialog(byId("detail"));
}

/** Show a result, and why it is one. */
export function openResult(result) {
  answer = state.answer;
  example = answer.examples.find(({ wanted }) => wanted);
  show(result, result);
  openDialog(byId("detail"));
}

function step(by) {
  const results = shownResults();
  const place = results.indexOf(shown.result);
  const next = place < 0 ? null : results[place + by];
  if (next) show(next, next);
}

function show(photograph, result) {
  control.abort();
  control = new AbortController();
  shown = { photograph, result };
  byId("detail-title").textContent = fileName(photograph.key);
  const results = shownResults();
  byId("detail-steps").hidden = !result;
  byId("detail-before").disabled = result === results[0];
  byId("detail-after").disabled = result === results.at(-1);
  byId("detail-query").hidden = byId("detail-why").hidden = !result;
  byId("detail-picture").href = picture(photograph, 4096);
  byId("detail-more").hidden = byId("detail-less").hidden = !result;
  byId("detail-remove").hidden = !state.status.changes;
  showPhotograph(photograph, result);
  showMetadata(photograph, result?.metadata, result);
  if (!result) fetchMetadata(photograph);
  if (result) {
    showExample();
    showReasons(result);
  }
}

async function showPhotograph(photograph, result) {
  const caption = result ? `Found: ${likeness(result)}` : "In the collection";
  const stage = showPicture("detail-result", caption, picture(photograph), fileName(photograph.key));
  if (result?.box) stage.append(frame(result.box));
  const { signal } = control;
  try {
    const map = await ask("/v1/attention", { query: { key: photograph.key }, signal });
    if (!signal.aborted) stage.append(overlay(map));
    toggleOverlays();
  } catch (error) {
    report(error);
  }
}

function showExample() {
  const { examples, attention } = answer;
  const caption = example.wanted ? "Searched with" : "Not this";
  const stage = showPicture("detail-query", caption, largePicture(example), label(example));
  const map = attention[examples.indexOf(example)];
  if (map) stage.append(overlay(map));
  if (example.box) stage.append(frame(example.box));
  toggleOverlays();
  byId("detail-examples").replaceChildren(...(examples.length > 1 ? examples.map(exampleButton) : []));
}

function exampleButton(one) {
  const name = `${one.wanted ? "Example" : "Not this"}: ${label(one)}`;
  const image = make("img", { src: smallPicture(one), alt: name });
  const button = make("button", { type: "button", "aria-pressed": one === example }, image);
  button.onclick = () => {
    example = one;
    showExample();
    byId("detail-examples").children[answer.examples.indexOf(one)].focus();
  };
  return button;
}

/** Put a picture into one of the two places; gives the element that overlays go into. */
function showPicture(place, caption, address, name) {
  const figure = byId(place);
  const image = make("img", { src: address, alt: name });
  const stage = make("div", { className: "stage" }, image);
  keepRatio(stage, image);
  figure.querySelector(".stage")?.remove();
  figure.querySelector("figcaption").textContent = caption;
  figure.querySelector(".frame").append(stage);
  return stage;
}

function toggleOverlays() {
  const { checked } = byId("detail-attention");
  for (const canvas of byId("detail").querySelectorAll(".overlay")) canvas.hidden = !checked;
}

function showReasons(result) {
  const agreeing = result.agreeing.filter(Boolean).length;
  const segments = result.agreeing.map((same) => make("span", { className: same ? "same" : "" }));
  byId("detail-segments").replaceChildren(...segments);
  byId("detail-agreeing").textContent = `${agreeing} of ${count(segments.length, "segment agrees", "segments agree")}`;
  const alike = answer.results.filter(({ group }) => group === result.group).length - 1;
  const remarks = [];
  if (result.box) remarks.push("The outlined part matched better than the whole photograph.");
  if (result.near_duplicate) remarks.push("It shows the same picture as an example.");
  if (alike > 0) remarks.push(`${count(alike, "other result shows", "other results show")} the same picture.`);
  byId("detail-alike").textContent = remarks.join(" ");
  byId("detail-alike").hidden = remarks.length === 0;
}

function showMetadata(photograph, metadata, result) {
  const rows = [["Path", photograph.key]];
  for (const column of metadata ? state.status.columns : []) {
    rows.push([columnName(column.name), value(column, metadata[column.name] ?? null)]);
  }
  if (result) rows.push(["Distance", result.distance.toFixed(3)]);
  const entries = rows.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text)));
  byId("detail-metadata").replaceChildren(...entries);
}

async function fetchMetadata(photograph) {
  const { signal } = control;
  try {
    const { metadata } = await ask("/v1/image", { query: { key: photograph.key }, signal });
    if (!signal.aborted) showMetadata(photograph, metadata, null);
  } catch (error) {
    report(error);
  }
}
