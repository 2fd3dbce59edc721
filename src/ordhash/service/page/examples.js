// What is searched with: photographs of the collection, or images of one's own.

import { picture, thumbnail } from "./api.js";
import { fileName } from "./text.js";

let made = 0;
const own = new Map(); // images of one's own by id, for the browser's way back

/** @typedef {{id: number, key?: string, version?: string, file?: File, url?: string, box: ?object, wanted: boolean}} Example */

export function fromPhotograph({ key, version }, wanted = true) {
  return { id: ++made, key, version, box: null, wanted };
}

export function fromFile(file) {
  const example = { id: ++made, file, url: URL.createObjectURL(file), box: null, wanted: true };
  own.set(example.id, example);
  return example;
}

export const label = (example) => (example.file ? example.file.name || "your image" : fileName(example.key));

export const smallPicture = (example) => example.url ?? thumbnail(example);

export const largePicture = (example) => example.url ?? picture(example);

/** As the service wants it. */
export async function toMessage({ key, file, box, wanted }) {
  const own = file && { image: await base64(file), name: file.name.slice(0, 500) || null };
  return { ...(own ?? { key }), box, wanted };
}

/** As the browser's history can keep it. */
export const toHistory = ({ id, key, version, box, wanted }) => ({ id, key, version, box, wanted });

/** The example that was kept; null for an image of one's own that a reload has lost. */
export function fromHistory(kept) {
  if (kept.key) return { ...kept, id: ++made };
  const image = own.get(kept.id);
  return image ? { ...image, box: kept.box, wanted: kept.wanted } : null;
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read; is it still there?`));
    reader.readAsDataURL(file);
  });
}
