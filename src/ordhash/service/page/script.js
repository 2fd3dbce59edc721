// The page of an ordhash service: how its parts are put together.

import { beginChanges, remove } from "./changes.js";
import { beginCrop, cropExample } from "./crop.js";
import { beginDetail, openDetail, openResult } from "./detail.js";
import { beginDialogs } from "./dialogs.js";
import { byId } from "./dom.js";
import { fromPhotograph } from "./examples.js";
import { beginFailures } from "./failures.js";
import { beginFilters } from "./filters.js";
import { Grid } from "./grid.js";
import { beginIntake } from "./intake.js";
import { begin as beginJourney } from "./journey.js";
import { beginResults } from "./results.js";
import { addExample, changeExample, filterBy, removeExample, search, searchParts, showCollection } from "./search.js";
import { beginService } from "./service.js";
import { state, update, watch } from "./state.js";
import { beginTray } from "./tray.js";

const searchWith = (photograph) => search([fromPhotograph(photograph)]);
const add = (photograph, wanted = true) => addExample(fromPhotograph(photograph, wanted));

watch(["view"], ({ view }) => {
  byId("collection").hidden = view !== "collection";
  byId("results").hidden = view !== "results";
});
watch(["searching"], ({ searching }) => {
  byId("searching").hidden = !searching;
});

beginDialogs();
beginCrop();
beginFailures();
beginFilters(filterBy);
beginResults({ choose: searchWith, explain: openResult, add, searchParts });
beginDetail({
  search: searchWith,
  more: (photograph) => add(photograph),
  less: (photograph) => add(photograph, false),
  remove,
});
new Grid({ choose: searchWith, explain: openDetail });
beginIntake();
beginChanges();
beginTray({
  change: changeExample,
  crop: (example) => cropExample(example, (box) => changeExample(example.id, { box })),
  remove: removeExample,
});

byId("order").addEventListener("change", ({ target }) => update({ order: target.value }));
byId("back").addEventListener("click", () => showCollection());

addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=range]), select")) return;
  if (event.key === "Escape" && state.view === "results") showCollection();
  if (event.key === "/") {
    event.preventDefault();
    byId("choose").focus();
  }
});

beginJourney(({ view, examples, filters, parts, place }) => {
  if (view === "results") search(examples, { filters, parts, step: null, place });
  else showCollection({ filters, step: false });
});
beginService();
