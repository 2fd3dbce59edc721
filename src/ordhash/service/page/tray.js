// What is searched with, each example with its buttons.

import { byId, icon, make } from "./dom.js";
import { label, smallPicture } from "./examples.js";
import { frame } from "./overlay.js";
import { watch } from "./state.js";

/** `change(id, changes)`, `crop(example)` and `remove(id)` are called by the buttons. */
export function beginTray({ change, crop, remove }) {
  const tray = byId("tray");
  watch(["examples"], ({ examples }) => {
    const place = focusedButton(tray);
    tray.replaceChildren(...examples.map((example) => item(example, { change, crop, remove })));
    byId("tray-heading").textContent = examples.length > 1 ? `${examples.length} examples` : "Searched with";
    if (place) tray.querySelectorAll("button")[Math.min(place, tray.querySelectorAll("button").length) - 1]?.focus();
  });
}

function item(example, { change, crop, remove }) {
  const name = label(example);
  const image = make("img", { src: smallPicture(example), alt: name, draggable: false });
  image.onerror = () => image.classList.add("broken");
  const stage = make("div", { className: "stage" }, image, example.box ? frame(example.box) : null);
  const choice = (wanted, text) => {
    const pressed = example.wanted === wanted;
    const button = make("button", { type: "button", "aria-pressed": pressed }, text);
    button.onclick = () => {
      if (!pressed) change(example.id, { wanted });
    };
    return button;
  };
  const choices = make("div", { className: "choices", role: "group", "aria-label": `What ${name} stands for` });
  choices.append(choice(true, "Like this"), choice(false, "Not this"));
  const cropping = make("button", { type: "button" }, icon("crop"), example.box ? "Change part" : "Use a part");
  cropping.onclick = () => crop(example);
  const removing = make("button", { type: "button", "aria-label": `Remove ${name}` }, icon("close"));
  removing.onclick = () => remove(example.id);
  const tools = make("div", { className: "tools" }, cropping, removing);
  const kind = example.wanted ? "example" : "example unwanted";
  return make("li", { className: kind }, stage, make("div", { className: "controls" }, choices, tools));
}

/** Which button of the tray has the focus, counted from 1; 0 for none. */
function focusedButton(tray) {
  return [...tray.querySelectorAll("button")].indexOf(document.activeElement) + 1;
}
