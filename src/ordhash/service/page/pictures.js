// Images that load when they are needed, try again when the service was busy, and stop when they are not needed.

import { watch } from "./state.js";

const TRIES = 4;
const timers = new WeakMap();
const again = new WeakMap(); // how to begin anew with an image that was given up

// When the service answers again, so may what it did not answer before; and a folder that was missing may be back.
let generation = null;
watch(["down"], ({ down }) => {
  if (!down) retry();
});
watch(["status"], ({ status }) => {
  if (status.generation !== generation) retry();
  generation = status.generation;
});

function retry() {
  for (const image of document.querySelectorAll("img.broken")) again.get(image)?.();
}

/** An image that begins to load after a while, so that what is scrolled past quickly never does. */
export function lazyImage(address, alt, milliseconds = 0) {
  const image = new Image();
  image.alt = alt;
  image.draggable = false;
  image.decoding = "async";
  image.loading = "lazy";
  let tried = 0; // a busy service is one that will answer
  image.onload = () => image.classList.add("there");
  image.onerror = () => {
    if (tried < TRIES) start(image, address, 500 * 2 ** tried++);
    else image.classList.add("there", "broken"); // the alternative text shows
  };
  again.set(image, () => {
    tried = 0;
    image.classList.remove("there", "broken");
    start(image, address, 0);
  });
  start(image, address, milliseconds);
  return image;
}

/** Stop what is loading inside an element that goes away. */
export function stopImages(element) {
  for (const image of element.querySelectorAll("img")) {
    clearTimeout(timers.get(image));
    image.onerror = null;
    if (!image.complete) image.removeAttribute("src");
  }
}

/** Tell the style sheet how wide a picture is for its height, so that small ones can be shown large. */
export function keepRatio(stage, image) {
  const tell = () => stage.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight || 1);
  image.addEventListener("load", tell);
}

function start(image, address, milliseconds) {
  const load = () => {
    image.src = address;
  };
  if (milliseconds) timers.set(image, setTimeout(load, milliseconds));
  else load();
}
