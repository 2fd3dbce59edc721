// Short messages in a corner, read out politely: errors stay until they are dismissed, the rest goes by itself.

import { byId, icon, make } from "./dom.js";

const SHOWN_MILLISECONDS = 6000;

export function notify(sentence, kind = "info") {
  // What is beside an open dialog can be neither read nor dismissed.
  const dialog = document.querySelector("dialog[open]");
  const list = dialog ? (dialog.querySelector(".notices") ?? addedTo(dialog)) : byId("notices");
  const same = [...list.children].find((notice) => notice.dataset.sentence === sentence);
  same?.remove();
  const close = make("button", { type: "button", className: "plain", "aria-label": "Dismiss" }, icon("close"));
  const notice = make("li", { className: `notice ${kind}`, "data-sentence": sentence }, make("p", {}, sentence), close);
  close.onclick = () => notice.remove();
  list.append(notice);
  if (kind === "info") setTimeout(() => notice.remove(), SHOWN_MILLISECONDS);
}

function addedTo(dialog) {
  const list = make("ul", { className: "notices", role: "status", "aria-live": "polite" });
  dialog.append(list);
  return list;
}

/** Say why something failed; what was cancelled did not fail, and what is wrong everywhere is said in its own place. */
export function report(error, about = "") {
  if (error.name === "AbortError" || error.status === 401 || error.status === 0) return;
  notify(about ? `${about}: ${error.message}` : error.message, "error");
}
