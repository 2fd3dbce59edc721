// The files of the folder that could not be used, and why.

import { ask } from "./api.js";
import { openDialog } from "./dialogs.js";
import { byId, make } from "./dom.js";
import { report } from "./notices.js";
import { count } from "./text.js";

export function beginFailures() {
  byId("unusable").addEventListener("click", async () => {
    try {
      show(await ask("/v1/failures"));
    } catch (error) {
      report(error);
    }
  });
}

function show({ total, failures }) {
  const entries = failures.flatMap(({ key, reason }) => [make("dt", {}, key), make("dd", {}, reason)]);
  byId("failures-list").replaceChildren(...entries);
  const more = total - failures.length;
  byId("failures-more").textContent = more
    ? `And ${count(more, "file", "files")} more.`
    : "The next sync tries again those that have changed.";
  openDialog(byId("failures"));
}
