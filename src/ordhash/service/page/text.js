// How names, numbers and times are written.

const numbers = new Intl.NumberFormat("en");
const times = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const fileName = (key) => key.slice(key.lastIndexOf("/") + 1);

export const number = (value) => numbers.format(value);

export const count = (value, one, many) => `${number(value)} ${value === 1 ? one : many}`;

/** Rounded down: a bound is not to promise more, and 100 % is never sure. */
export const percent = (share) => `${Math.floor(100 * share + 1e-9)} %`;

/** How alike a result is: the least likelihood, or its distance where the model does not know what that means. */
export function likeness(result) {
  if (result.unlike) return "unlike anything learned";
  if (result.likelihood !== null) return `at least ${percent(result.likelihood)}`;
  return `${result.box ? "a part:" : "distance"} ${result.distance.toFixed(2)}`;
}

export const columnName = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

/** A value of the metadata as people read it. */
export function value(column, given) {
  if (given === null) return "–";
  if (typeof given === "boolean") return given ? "yes" : "no";
  if (column.kind === "time") return times.format(new Date(given));
  if (column.name === "size") return bytes(given);
  return typeof given === "number" ? number(given) : String(given);
}

function bytes(amount) {
  if (amount < 1000) return `${amount} bytes`;
  return amount < 1e6 ? `${(amount / 1e3).toFixed(0)} kB` : `${(amount / 1e6).toFixed(1)} MB`;
}
