// Dialogs: opened, closed by their buttons or a click beside them, and two that ask something.

import { events } from "./api.js";
import { byId } from "./dom.js";

/** Open a dialog; the focus returns to where it was when it closes, if that is still there. */
export function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

export function beginDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    for (const button of dialog.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => dialog.close(button.dataset.close));
    }
    dialog.addEventListener("close", () => byId("notices").append(...dialog.querySelectorAll(".notice")));
    dialog.addEventListener("pointerdown", (event) => {
      if (event.target === dialog && dialog.dataset.closable !== undefined) dialog.close();
    });
  }
  events.addEventListener("unauthorised", () => openDialog(byId("token")));
  byId("token-form").addEventListener("submit", giveToken);
}

/** Ask a question; whether it was answered by yes. */
export function confirmed({ title, text, yes }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  openDialog(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Have the service keep the token as a cookie, and begin again. A wrong one is asked for once more, in its place. */
async function giveToken(event) {
  event.preventDefault();
  const input = byId("token-value");
  const wrong = byId("token-wrong");
  const address = `/?${new URLSearchParams({ token: input.value.trim() })}`;
  const status = await fetch(address).then(
    (answer) => answer.status,
    () => 0,
  );
  if (status === 200) {
    location.reload();
    return;
  }
  const refused = status === 401; // a busy service says nothing of the token
  wrong.textContent = refused ? "This is not the token of this service." : "The service does not answer; try again.";
  wrong.hidden = false;
  input.setAttribute("aria-invalid", "true");
  input.select();
}
