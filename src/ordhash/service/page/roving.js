// Arrow keys in a list whose items flow into rows: one of them is in the order of the Tab key, with its buttons.

/** `other` is called with keys that do not move, and the chosen element that has the focus. */
export function arrowKeys(list, chosen, other) {
  list.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const all = [...list.querySelectorAll(chosen)];
    const item = event.target.closest("li");
    const here = all.find((element) => item?.contains(element));
    const goal = neighbour(all, here, event.key);
    if (!here) return;
    if (goal === undefined) {
      other(event, here);
      return;
    }
    event.preventDefault();
    goal.focus();
    goal.scrollIntoView({ block: "nearest" });
  });
  list.addEventListener("focusin", (event) => {
    const item = event.target.closest("li");
    for (const button of list.querySelectorAll("button")) button.tabIndex = item.contains(button) ? 0 : -1;
  });
}

/** The element that a key leads to; undefined for other keys. */
function neighbour(all, here, key) {
  const at = all.indexOf(here);
  const last = all.length - 1;
  if (key === "ArrowLeft") return all[Math.max(0, at - 1)];
  if (key === "ArrowRight") return all[Math.min(last, at + 1)];
  if (key === "Home") return all[0];
  if (key === "End") return all[last];
  if (key !== "ArrowUp" && key !== "ArrowDown") return undefined;
  const down = key === "ArrowDown";
  const { top, left } = here.getBoundingClientRect();
  const others = all
    .map((element) => ({ element, place: element.getBoundingClientRect() }))
    .filter(({ place }) => (down ? place.top > top + 1 : place.top < top - 1));
  if (!others.length) return here;
  const tops = others.map(({ place }) => place.top);
  const row = down ? Math.min(...tops) : Math.max(...tops);
  const inRow = others.filter(({ place }) => Math.abs(place.top - row) < 2);
  return inRow.reduce((best, one) =>
    Math.abs(one.place.left - left) < Math.abs(best.place.left - left) ? one : best,
  ).element;
}
