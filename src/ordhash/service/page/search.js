// Searching: the page stays as it is until there is an answer, so that a search that fails changes nothing.

import { ask } from "./api.js";
import { toMessage } from "./examples.js";
import { collectionPlace, remember } from "./journey.js";
import { notify, report } from "./notices.js";
import { state, update } from "./state.js";

const TOP = 100;

let running = null;
let intended = null; // examples of the search that is running: what is changed meanwhile builds on these

/** The examples, with what was asked for and is not answered yet. */
const examplesNow = () => intended ?? state.examples;

/** Search, and show what was found; as a step of the browser's history unless told otherwise. */
export async function search(examples, { filters = state.filters, parts = state.parts, step = true, place = 0 } = {}) {
  if (!examples.some((example) => example.wanted)) {
    notify("Keep at least one example as “like this”.", "error");
    return;
  }
  cancel();
  const control = (running = new AbortController());
  intended = examples;
  update({ searching: true });
  try {
    const messages = await Promise.all(examples.map(toMessage));
    const json = { examples: messages, top_k: TOP, filters, parts };
    const answer = await ask("/v1/search", { method: "POST", json, signal: control.signal });
    update({ examples, filters, parts, answer: { ...answer, examples }, view: "results" });
    if (step !== null) remember({ step });
    scrollTo(0, place);
  } catch (error) {
    report(error);
  } finally {
    if (running === control) cancel();
  }
}

/** The same search, or the collection, with other filters. It is no step: filters are set one after the other. */
export function filterBy(filters) {
  if (state.view === "results") return search(examplesNow(), { filters, step: false, place: scrollY });
  if (intended) return search(intended, { filters }); // a search of the collection is under way
  update({ filters });
  return remember({ step: false });
}

/** The same search, in parts of photographs too or no longer. */
export function searchParts(parts) {
  return search(examplesNow(), { parts, step: false, place: scrollY });
}

export function addExample(example) {
  if (examplesNow().length >= 16) {
    notify("A search takes up to 16 examples; remove one first.", "error");
    return Promise.resolve();
  }
  return search([...examplesNow(), example]);
}

export function changeExample(id, changes) {
  return search(examplesNow().map((example) => (example.id === id ? { ...example, ...changes } : example)));
}

export function removeExample(id) {
  const left = examplesNow().filter((example) => example.id !== id);
  if (left.length) search(left);
  else showCollection();
}

export function showCollection({ filters = state.filters, step = true } = {}) {
  cancel();
  const place = collectionPlace();
  update({ view: "collection", examples: [], answer: null, filters });
  if (step) remember({ step });
  scrollTo(0, place);
}

function cancel() {
  running?.abort();
  running = intended = null;
  update({ searching: false });
}
