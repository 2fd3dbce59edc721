// Choosing the part of a picture that counts: drawn with the pointer, or moved and resized by the arrow keys.

import { openDialog } from "./dialogs.js";
import { byId, make } from "./dom.js";
import { label, largePicture } from "./examples.js";
import { place } from "./overlay.js";
import { keepRatio } from "./pictures.js";

const LEAST = 0.04; // of width and height
const STEP = 0.02; // of one press of a key
const WHOLE = { left: 0, top: 0, right: 1, bottom: 1 };
const MIDDLE = { left: 0.2, top: 0.2, right: 0.8, bottom: 0.8 };
const HANDLES = ["nw", "ne", "sw", "se"];

let box = MIDDLE;
let done = () => {};

export function beginCrop() {
  const stage = byId("crop-stage");
  const region = byId("crop-region");
  keepRatio(stage, byId("crop-image"));
  region.append(...HANDLES.map((corner) => make("span", { className: `handle ${corner}`, "data-corner": corner })));
  stage.addEventListener("pointerdown", drag);
  region.addEventListener("keydown", key);
  byId("crop-use").addEventListener("click", () => finish(box));
  byId("crop-whole").addEventListener("click", () => finish(null));
}

/** Let the part of an example be chosen; `use` is called with the box, or null for the whole picture. */
export function cropExample(example, use) {
  const image = byId("crop-image");
  image.src = largePicture(example);
  image.alt = label(example);
  done = use;
  set(example.box ?? MIDDLE);
  openDialog(byId("crop"));
  byId("crop-region").focus();
}

function finish(chosen) {
  byId("crop").close();
  const all = chosen && Object.keys(WHOLE).every((side) => chosen[side] === WHOLE[side]);
  done(all ? null : chosen);
}

function set(next) {
  box = next;
  place(byId("crop-region"), box);
  const share = (part) => `${Math.round(100 * part)} %`;
  byId("crop-says").textContent =
    `From the left ${share(box.left)}, from the top ${share(box.top)}, ` +
    `${share(box.right - box.left)} wide, ${share(box.bottom - box.top)} high`;
}

/** A corner is pulled, the region is moved, or a new one is drawn, by where the pointer went down. */
function drag(event) {
  if (event.button !== 0) return;
  event.preventDefault();
  const stage = byId("crop-stage");
  const start = pointOf(event);
  const before = box;
  const corner = event.target.dataset.corner;
  const moves = !corner && event.target === byId("crop-region");
  const fixed = corner
    ? { x: corner.endsWith("w") ? box.right : box.left, y: corner.startsWith("n") ? box.bottom : box.top }
    : start;
  stage.setPointerCapture(event.pointerId);
  const move = (moved) => {
    const here = pointOf(moved);
    if (moves) set(shifted(before, here.x - start.x, here.y - start.y));
    else set(between(fixed, here));
  };
  const end = () => {
    stage.removeEventListener("pointermove", move);
    byId("crop-region").focus();
  };
  stage.addEventListener("pointermove", move);
  stage.addEventListener("lostpointercapture", end, { once: true });
}

function key(event) {
  const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  if (!by) return;
  event.preventDefault();
  if (!event.shiftKey) set(shifted(box, ...by));
  else {
    const right = clamp(box.right + by[0], box.left + LEAST);
    const bottom = clamp(box.bottom + by[1], box.top + LEAST);
    set({ ...box, right, bottom });
  }
}

function pointOf(event) {
  const { left, top, width, height } = byId("crop-stage").getBoundingClientRect();
  return { x: clamp((event.clientX - left) / width), y: clamp((event.clientY - top) / height) };
}

/** The box between two corners, at least the least size, and within the picture. */
function between(one, other) {
  const span = (a, b) => {
    const low = Math.min(a, b, 1 - LEAST);
    return [low, Math.max(a, b, low + LEAST)];
  };
  const [left, right] = span(one.x, other.x);
  const [top, bottom] = span(one.y, other.y);
  return { left, top, right, bottom };
}

function shifted({ left, top, right, bottom }, x, y) {
  const across = Math.min(Math.max(x, -left), 1 - right);
  const down = Math.min(Math.max(y, -top), 1 - bottom);
  return { left: left + across, top: top + down, right: right + across, bottom: bottom + down };
}

function clamp(share, least = 0) {
  return Math.min(1, Math.max(least, share));
}
