// The browser's back and forward between the collection and searches, each where it was scrolled to.

import { fromHistory, toHistory } from "./examples.js";
import { state } from "./state.js";

const places = new Map(); // scrolled to, by visit; the collection is one place however often it is visited
let visit = "collection";

/** Note what is shown now, as a step of its own or in place of the last. */
export function remember({ step }) {
  const { view, filters, parts } = state;
  if (step && view === "results") visit = crypto.getRandomValues(new Uint32Array(2)).join("-");
  if (view === "collection") visit = "collection";
  const kept = { visit, view, filters, parts, examples: view === "results" ? state.examples.map(toHistory) : [] };
  if (step) history.pushState(kept, "");
  else history.replaceState(kept, "");
}

export const collectionPlace = () => places.get("collection") ?? 0;

/** Call `show({view, examples, filters, parts, place})` whenever the browser goes back or forward, and after a reload. */
export function begin(show) {
  history.scrollRestoration = "manual";
  addEventListener("scroll", () => places.set(visit, scrollY), { passive: true });
  addEventListener("popstate", () => arrive(show));
  arrive(show);
}

function arrive(show) {
  const kept = history.state;
  const examples = (kept?.examples ?? []).map(fromHistory);
  const there = kept?.view === "results" && examples.length > 0 && !examples.includes(null);
  visit = there ? kept.visit : "collection";
  const place = places.get(visit) ?? 0;
  const { filters = [], parts = false } = kept ?? {};
  show({ view: there ? "results" : "collection", examples, filters, parts, place });
}
