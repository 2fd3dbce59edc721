// What the service says of itself, asked again and again: counts, problems, the progress of a sync.

import { ask, events } from "./api.js";
import { byId } from "./dom.js";
import { notify } from "./notices.js";
import { state, update, watch } from "./state.js";
import { count, number } from "./text.js";

const SOON = 1000; // milliseconds, while a sync runs and somebody looks
const LATER = 5000;
const SYNC_MILLISECONDS = 20000; // a sync that has not shown up by then was over before it could be seen

let timer = 0;
let asking = null; // AbortController of what is asked now
let syncSince = 0;

export function beginService() {
  events.addEventListener("down", () => update({ down: true }));
  events.addEventListener("up", () => update({ down: false }));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
  watch(["status", "trouble", "syncAsked", "down"], draw);
  watch(["syncAsked"], () => {
    syncSince = performance.now();
  });
  look();
}

/** Ask now, and then in turn. What was asked before may be answered from before a change, so it is given up. */
export async function look() {
  asking?.abort();
  const { signal } = (asking = new AbortController());
  clearTimeout(timer);
  try {
    const status = await ask("/v1/status", { signal });
    if (signal.aborted) return;
    const changed = state.syncAsked && state.status.generation !== status.generation; // by a sync too short to be seen
    const over = (state.status?.sync || changed) && !status.sync;
    const missed = state.syncAsked && performance.now() - syncSince > SYNC_MILLISECONDS;
    update({ status, trouble: null, syncAsked: state.syncAsked && !status.sync && !over && !missed });
    if ((over || missed) && !status.problem) notify("The sync is over.");
  } catch (error) {
    if (signal.aborted) return;
    if (error.status > 0 && error.status !== 401) update({ trouble: error.message });
  }
  const busy = state.status?.sync || state.syncAsked;
  timer = setTimeout(look, busy && !document.hidden ? SOON : LATER);
}

function draw({ status, trouble, syncAsked, down }) {
  const problem = trouble ?? status?.problem ?? null;
  byId("down").hidden = !down;
  byId("problem").hidden = problem === null;
  byId("problem").textContent = problem ?? "";
  if (!status) return;
  document.title = `${status.name} · ordhash`;
  byId("name").textContent = status.name;
  byId("counts").textContent = count(status.count, "photograph", "photographs");
  byId("unusable").hidden = status.unusable === 0;
  byId("unusable").textContent = `${count(status.unusable, "file", "files")} could not be used`;
  byId("add").hidden = byId("sync").hidden = byId("empty-sync").hidden = !status.changes;
  byId("empty").hidden = status.count > 0;
  const tools = [byId("grid"), byId("collection-tools"), byId("collection-filters")];
  for (const tool of tools) tool.hidden = status.count === 0;
  drawSync(status.sync, syncAsked);
}

function drawSync(sync, asked) {
  const bar = byId("sync-progress");
  byId("sync-state").hidden = !sync && !asked;
  byId("sync").disabled = byId("empty-sync").disabled = Boolean(sync || asked);
  if (sync?.total) {
    bar.max = sync.total;
    bar.value = sync.done;
  } else bar.removeAttribute("value");
  byId("sync-text").textContent = sync?.total
    ? `Sync: ${number(sync.done)} of ${number(sync.total)} files`
    : "Sync: looking through the folder …";
}
