// What was found: cards in order, those that show the same picture as one, and a cut-off.

import { thumbnail } from "./api.js";
import { byId, icon, make } from "./dom.js";
import { frame, inSquare } from "./overlay.js";
import { lazyImage } from "./pictures.js";
import { arrowKeys } from "./roving.js";
import { state, update, watch } from "./state.js";
import { count, fileName, likeness, number, percent } from "./text.js";

const opened = new Set(); // groups whose photographs are shown one by one

export function beginResults({ choose, explain, add, searchParts }) {
  const list = byId("results-list");
  const slider = byId("cutoff");
  const resultOf = (button) => state.answer.results[button.closest("li").dataset.place];
  slider.addEventListener("input", () => update({ cutoff: Number(slider.value) }));
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.does === "choose") choose(resultOf(button));
    if (button.dataset.does === "explain") explain(resultOf(button));
    if (button.dataset.does === "group") toggle(Number(button.dataset.group));
  });
  arrowKeys(list, "[data-does=choose]", (event, button) => {
    if (event.key === "i") explain(resultOf(button));
    else if (event.key === "+") add(resultOf(button), true);
    else if (event.key === "-") add(resultOf(button), false);
    else return;
    event.preventDefault();
  });
  watch(["answer"], () => {
    opened.clear();
    draw();
  });
  watch(["cutoff", "status"], draw);
  watch(["searching"], () => list.setAttribute("aria-busy", state.searching));
  const parts = byId("parts");
  parts.addEventListener("change", () => searchParts(parts.checked));
  watch(["parts", "searching", "status"], ({ status }) => {
    if (!state.searching) parts.checked = state.parts; // also after a search that failed
    byId("parts-choice").hidden = !status?.parts;
  });
  byId("cutoff-off").addEventListener("click", () => update({ cutoff: 0 }));
}

/** The results above the cut-off, nearest first; what is unlike anything learned is nowhere above it. */
export function shownResults() {
  const { answer, cutoff, status } = state;
  if (!answer) return [];
  return answer.results.filter(({ likelihood }) => !status?.calibrated || 100 * (likelihood ?? 0) >= cutoff);
}

let drawn = {}; // what the list shows, so that dragging the slider does not make it anew at every step

function draw() {
  const { answer, cutoff, filters, status } = state;
  if (!answer || !status) return;
  const shown = shownResults();
  byId("cutoff").disabled = !status.calibrated;
  byId("cutoff").value = cutoff;
  byId("cutoff-value").textContent = status.calibrated ? `${cutoff} %` : "";
  byId("cutoff-help").hidden = status.calibrated;
  byId("results-count").textContent = answer.results.length
    ? `${number(shown.length)} of ${count(answer.results.length, "photograph", "photographs")} shown`
    : "Nothing found";
  byId("query-unlike").hidden = !answer.unlike;
  byId("nothing-found").hidden = answer.results.length > 0;
  byId("nothing-found-filters").hidden = filters.length === 0;
  byId("nothing-above").hidden = answer.results.length === 0 || shown.length > 0;
  const best = Math.max(0, ...answer.results.map((result) => result.likelihood ?? 0));
  byId("nothing-above-best").textContent = percent(best);
  if (drawn.answer === answer && drawn.length === shown.length) return;
  drawn = { answer, length: shown.length };
  byId("results-list").replaceChildren(...cards(shown));
}

function cards(shown) {
  const groups = Map.groupBy(shown, (result) => result.group);
  const made = [];
  for (const [group, members] of groups) {
    const whole = members.length > 1 && opened.has(group);
    for (const result of whole ? members : members.slice(0, 1)) made.push(card(result, members, whole));
  }
  for (const button of made[0]?.querySelectorAll("button") ?? []) button.tabIndex = 0;
  return made;
}

function card(result, members, open) {
  const place = state.answer.results.indexOf(result);
  const name = fileName(result.key);
  const button = (does, ...content) => make("button", { type: "button", tabIndex: -1, "data-does": does }, ...content);
  const image = lazyImage(thumbnail(result), name);
  const photo = button("choose", image);
  const outline = () => photo.append(frame(inSquare(result.box, image)));
  if (result.box) image.addEventListener("load", outline, { once: true });
  photo.className = "photo";
  const why = button("explain", "Why?");
  why.className = "why";
  why.title = "Key: i";
  why.setAttribute("aria-label", `Why ${name} matched`);
  const likely = make("span", { className: "likeness" }, likeness(result));
  const item = make("li", { className: "card", "data-place": place }, photo);
  if (members.length > 1 && (!open || result === members[0])) {
    const all = button("group", icon("stack"), open ? "Show as one" : `${members.length} alike`);
    all.className = "group";
    all.dataset.group = result.group;
    all.setAttribute("aria-expanded", open);
    all.setAttribute("aria-label", `${members.length} photographs that show the same picture as ${name}`);
    item.append(all);
  }
  item.append(make("div", { className: "caption" }, likely, why));
  item.classList.toggle("member", open);
  item.classList.toggle("several", members.length > 1 && !open);
  return item;
}

function toggle(group) {
  if (!opened.delete(group)) opened.add(group);
  const list = byId("results-list");
  list.replaceChildren(...cards(shownResults()));
  list.querySelector(`[data-group="${group}"]`).focus();
}
