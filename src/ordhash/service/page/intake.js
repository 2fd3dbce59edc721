// Images of one's own: dropped anywhere, pasted, or chosen.

import { byId } from "./dom.js";
import { fromFile } from "./examples.js";
import { addExample, search } from "./search.js";

export function beginIntake() {
  choosing("choose", "choose-files", (files) => search(files.map(fromFile)));
  choosing("tray-add", "tray-files", async (files) => {
    for (const file of files) await addExample(fromFile(file));
  });
  addEventListener("paste", (event) => take(event, event.clipboardData));
  let depth = 0; // the pointer enters and leaves every element on its way
  const over = (by) => (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    depth = Math.max(0, depth + by);
    byId("drop").hidden = depth === 0;
  };
  addEventListener("dragenter", over(1));
  addEventListener("dragleave", over(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    depth = 0;
    byId("drop").hidden = true;
    take(event, event.dataTransfer);
  });
}

/** Have a button open the dialog of a file input, and get what was chosen. */
export function choosing(button, input, take) {
  const chooser = byId(input);
  byId(button).addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    const files = [...chooser.files];
    chooser.value = ""; // so that the same file can be chosen again
    if (files.length) take(files);
  });
}

function take(event, transfer) {
  const files = [...transfer.files];
  if (!files.length) return;
  event.preventDefault();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  search(files.map(fromFile));
}
