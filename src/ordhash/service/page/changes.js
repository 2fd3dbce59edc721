// Changing the collection: adding and deleting photographs, and bringing it into step with its folder.

import { ask } from "./api.js";
import { confirmed } from "./dialogs.js";
import { byId } from "./dom.js";
import { choosing } from "./intake.js";
import { notify, report } from "./notices.js";
import { look } from "./service.js";
import { state, update } from "./state.js";
import { count, fileName } from "./text.js";

export function beginChanges() {
  choosing("add", "add-files", add);
  byId("sync").addEventListener("click", sync);
  byId("empty-sync").addEventListener("click", sync);
}

async function add(files) {
  let added = 0;
  for (const [place, file] of files.entries()) {
    if (files.length > 1) byId("add").textContent = `Adding ${place + 1} of ${files.length} …`;
    try {
      await ask("/v1/images", { method: "POST", query: { name: file.name }, bytes: file });
      added += 1;
    } catch (error) {
      report(error, file.name);
      if (error.status !== 0 && error.status !== 401) continue;
      notify(`Adding stopped at ${file.name}; add it again, and what came after it.`, "error");
      break;
    }
  }
  byId("add").textContent = "Add";
  if (added) notify(`${count(added, "photograph is", "photographs are")} in the collection now.`);
  look();
}

async function sync() {
  try {
    const status = await ask("/v1/sync", { method: "POST" });
    update({ status, syncAsked: true });
    look();
  } catch (error) {
    report(error);
  }
}

/** Delete a photograph, if that is what is meant; whether it was. */
export async function remove({ key }) {
  const name = fileName(key);
  const sure = await confirmed({
    title: `Delete ${name}?`,
    text: "It will no longer be found here. The file itself stays where it is, in the folder.",
    yes: "Delete",
  });
  if (!sure) return false;
  try {
    await ask("/v1/images", { method: "DELETE", query: { key } });
  } catch (error) {
    report(error);
    return false;
  }
  notify(`${name} is no longer in the collection. Its file is where it was.`);
  const { answer } = state;
  if (answer) update({ answer: { ...answer, results: answer.results.filter((result) => result.key !== key) } });
  look();
  return true;
}
