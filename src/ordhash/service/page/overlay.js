// What is laid over a picture: an attention map, bright where the network looked, and the outline of a part.

import { make } from "./dom.js";

const UNSEEN = [10, 14, 40, 190]; // red, green, blue, opacity
const SEEN = [255, 168, 40, 34];
const LONGER_SIDE = 480; // of the drawing; it is scaled to the picture, and nothing in it is sharp

/** A canvas that covers that part of the element it is put into which the network saw. */
export function overlay(map) {
  const canvas = make("canvas", { className: "overlay", "aria-hidden": "true" });
  place(canvas, map.box);
  canvas.width = canvas.height = LONGER_SIDE;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  // Outwards by half a cell the edge would fade, so the cells at the edge are drawn twice.
  const cells = padded(map.values);
  const across = LONGER_SIDE / (cells.width - 2);
  const down = LONGER_SIDE / (cells.height - 2);
  context.drawImage(cells, -across, -down, across * cells.width, down * cells.height);
  return canvas;
}

/** A picture with a pixel for each cell, and one more all around. */
function padded(values) {
  const rows = values.length;
  const columns = values[0].length;
  const most = Math.max(...values.flat(), 1e-12);
  const cells = make("canvas", { width: columns + 2, height: rows + 2 });
  const context = cells.getContext("2d");
  const pixels = context.createImageData(cells.width, cells.height);
  for (let y = 0; y < cells.height; y++) {
    for (let x = 0; x < cells.width; x++) {
      const row = Math.min(rows - 1, Math.max(0, y - 1));
      const column = Math.min(columns - 1, Math.max(0, x - 1));
      const share = Math.sqrt(values[row][column] / most); // a single peak would leave the rest black
      const colour = UNSEEN.map((low, channel) => low + share * (SEEN[channel] - low));
      pixels.data.set(colour, 4 * (y * cells.width + x));
    }
  }
  context.putImageData(pixels, 0, 0);
  return cells;
}

/** The outline of a part of a picture: what was searched with, or what was found. */
export function frame(box) {
  const outline = make("div", { className: "outline", "aria-hidden": "true" });
  place(outline, box);
  return outline;
}

/** Where a part is in the square that is cut out of the middle of an image; what lies outside ends at its edge. */
export function inSquare({ left, top, right, bottom }, { naturalWidth: width, naturalHeight: height }) {
  const side = Math.min(width, height);
  const cut = (share, length) => Math.min(1, Math.max(0, (share * length - (length - side) / 2) / side));
  return { left: cut(left, width), top: cut(top, height), right: cut(right, width), bottom: cut(bottom, height) };
}

/** Lay an element over a part of the picture that it stands beside. */
export function place({ style }, { left, top, right, bottom }) {
  style.left = `${100 * left}%`;
  style.top = `${100 * top}%`;
  style.width = `${100 * (right - left)}%`;
  style.height = `${100 * (bottom - top)}%`;
}
