// The whole collection as a grid of squares, of which only the rows in sight exist.

import { thumbnail } from "./api.js";
import { Chunks } from "./chunks.js";
import { byId, icon, make } from "./dom.js";
import { lazyImage, stopImages } from "./pictures.js";
import { state, update, watch } from "./state.js";
import { fileName } from "./text.js";

const toCondition = ({ column, comparison, value }) => `${column}${comparison}${value}`;

const GAP = 4;
const BEYOND = 0.75; // screens that are drawn above and below what is seen
const FAST_MILLISECONDS = 90; // a row that scrolls past in less asks for no pictures

/** How much of the window the bar at its top covers. */
const covered = () => byId("bar").getBoundingClientRect().bottom + GAP;

export class Grid {
  /** `choose` and `explain` are called with a photograph: to search with it, or to look at it closely. */
  constructor({ choose, explain }) {
    this.element = byId("grid");
    this.rows = new Map(); // number of the row -> element
    this.active = 0; // the photograph that the keyboard is at
    this.columns = 1;
    this.side = 100;
    this.handlers = { choose, explain };
    this.chunks = new Chunks({ changed: () => this.draw(), moved: (...what) => this.#follow(...what) });
    addEventListener("scroll", () => this.#drawSoon(), { passive: true });
    new ResizeObserver(() => this.#measure()).observe(this.element);
    this.element.addEventListener("click", (event) => this.#click(event));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    watch(["view", "down"], () => this.draw());
    watch(["status"], () => this.#compare());
    watch(["order", "filters"], () => this.#choose());
  }

  /** Draw the rows in sight, and let go of those that are not. */
  draw() {
    if (state.view !== "collection" || state.status === null) return;
    if (!this.element.clientWidth) return;
    const rowCount = this.#resize();
    const pitch = this.side + GAP;
    const seenFrom = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((seenFrom - BEYOND * innerHeight) / pitch));
    const last = Math.min(rowCount - 1, Math.ceil((seenFrom + (1 + BEYOND) * innerHeight) / pitch));
    this.top = Math.max(0, Math.ceil((seenFrom + covered()) / pitch)) * this.columns;
    this.active = Math.max(0, Math.min(this.active, this.chunks.total - 1));
    for (const [number, row] of this.rows) {
      const focused = row.contains(document.activeElement) && number < rowCount;
      if ((number < first || number > last) && !focused) this.#drop(number, row);
    }
    for (let number = first; number <= last; number++) this.#row(number);
    for (const [number, row] of this.rows) this.#fill(number, row);
    this.chunks.want(first * this.columns, (last + 1) * this.columns - 1);
  }

  /** Make room for all rows; gives how many there are. */
  #resize() {
    const rowCount = Math.ceil(this.chunks.total / this.columns);
    update({ listed: this.chunks.counted ? this.chunks.total : null });
    this.element.style.height = `${Math.max(0, rowCount * (this.side + GAP) - GAP)}px`;
    this.element.setAttribute("aria-rowcount", rowCount);
    this.element.setAttribute("aria-colcount", this.columns);
    return rowCount;
  }

  #drawSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  #measure() {
    const width = this.element.clientWidth;
    if (!width) return;
    const least = innerWidth < 600 ? 100 : 168;
    const columns = Math.max(2, Math.floor((width + GAP) / (least + GAP)));
    const side = (width - GAP * (columns - 1)) / columns;
    if (columns === this.columns && side === this.side) return;
    const seen = this.top ?? 0;
    this.columns = columns;
    this.side = side;
    this.element.style.setProperty("--columns", columns);
    this.element.style.setProperty("--side", `${side}px`);
    for (const [number, row] of this.rows) this.#drop(number, row);
    const shift = this.element.getBoundingClientRect().top;
    if (seen) scrollTo(0, scrollY + shift + Math.floor(seen / columns) * (side + GAP) - covered());
    this.draw();
  }

  #row(number) {
    if (this.rows.has(number)) return;
    const row = make("div", { className: "row", role: "row", "aria-rowindex": number + 1 });
    row.style.transform = `translateY(${number * (this.side + GAP)}px)`;
    const later = [...this.rows.keys()].filter((other) => other > number);
    const next = later.length ? this.rows.get(Math.min(...later)) : null;
    this.element.insertBefore(row, next); // in order, as screen readers and the Tab key go by it
    this.rows.set(number, row);
  }

  #drop(number, row) {
    stopImages(row);
    row.remove();
    this.rows.delete(number);
  }

  /** Bring the cells of a row in line with what is known of their photographs. */
  #fill(number, row) {
    const start = number * this.columns;
    const length = Math.max(0, Math.min(this.columns, this.chunks.total - start));
    while (row.children.length > length) row.lastChild.remove();
    for (let column = 0; column < length; column++) {
      const photograph = this.chunks.at(start + column);
      let cell = row.children[column];
      const known = photograph ? `${photograph.version} ${photograph.key}` : "";
      if (!cell || (photograph && cell.dataset.known !== known)) {
        const fresh = this.#cell(start + column, photograph);
        fresh.dataset.known = known;
        const focused = cell?.contains(document.activeElement);
        if (cell) stopImages(cell);
        if (cell) cell.replaceWith(fresh);
        else row.append(fresh);
        if (focused) fresh.firstChild.focus({ preventScroll: true });
        cell = fresh;
      }
      const tabIndex = start + column === this.active ? 0 : -1;
      for (const button of cell.children) button.tabIndex = tabIndex;
    }
  }

  #cell(index, photograph) {
    const column = (index % this.columns) + 1;
    const cell = make("div", { className: "cell", role: "gridcell", "aria-colindex": column, "data-index": index });
    const button = make("button", { type: "button", className: "photo" });
    cell.append(button);
    if (!photograph) {
      button.setAttribute("aria-label", "Loading");
      return cell;
    }
    const name = fileName(photograph.key);
    button.append(lazyImage(thumbnail(photograph), name, FAST_MILLISECONDS));
    cell.append(make("button", { type: "button", className: "about", "aria-label": `About ${name}` }, icon("info")));
    return cell;
  }

  #click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    this.active = Number(button.parentElement.dataset.index);
    const photograph = this.chunks.at(this.active);
    if (!photograph) return;
    if (button.className === "about") this.handlers.explain(photograph);
    else this.handlers.choose(photograph);
  }

  #key(event) {
    if (event.altKey || event.metaKey) return;
    const start = this.active - (this.active % this.columns);
    const page = Math.max(1, Math.floor(innerHeight / (this.side + GAP)) - 1) * this.columns;
    const goal = {
      ArrowLeft: this.active - 1,
      ArrowRight: this.active + 1,
      ArrowUp: this.active - this.columns,
      ArrowDown: this.active + this.columns,
      PageUp: this.active - page,
      PageDown: this.active + page,
      Home: event.ctrlKey ? 0 : start,
      End: event.ctrlKey ? this.chunks.total - 1 : start + this.columns - 1,
    }[event.key];
    const photograph = this.chunks.at(this.active);
    if (goal !== undefined) this.#moveTo(goal);
    else if (event.key === "i" && photograph) this.handlers.explain(photograph);
    else return;
    event.preventDefault();
  }

  #moveTo(goal) {
    this.active = Math.max(0, Math.min(goal, this.chunks.total - 1));
    const pitch = this.side + GAP;
    const row = Math.floor(this.active / this.columns);
    const top = this.element.getBoundingClientRect().top + row * pitch;
    if (top < covered()) scrollBy(0, top - covered());
    else if (top + pitch > innerHeight) scrollBy(0, top + pitch - innerHeight);
    this.#row(row);
    this.#fill(row, this.rows.get(row));
    this.rows.get(row).children[this.active % this.columns].firstChild.focus({ preventScroll: true });
    this.draw();
  }

  /** Stay at the photograph that was at the top when others came before it or went. */
  #follow(offset, old, fresh) {
    const before = this.top - offset;
    const key = old[before]?.key;
    const after = fresh.findIndex((photograph) => photograph.key === key);
    if (state.view !== "collection" || scrollY === 0 || after < 0) return;
    this.#resize(); // first, or there is nowhere to scroll to
    const rows = Math.floor((offset + after) / this.columns) - Math.floor(this.top / this.columns);
    if (rows) scrollBy(0, rows * (this.side + GAP));
  }

  #compare() {
    const { generation, count } = state.status;
    if (this.chunks.generation === null && !state.filters.length) this.chunks.total = count;
    else if (generation !== this.chunks.generation) this.chunks.renew();
    this.draw();
  }

  /** Begin anew where another order or other photographs are asked for. */
  #choose() {
    if (!this.chunks.choose({ order: state.order, where: state.filters.map(toCondition) })) return;
    this.active = 0;
    if (state.view === "collection") scrollTo(0, 0);
    this.draw();
  }
}
