// The list of the whole collection, fetched in chunks where it is looked at.

import { ask } from "./api.js";
import { report } from "./notices.js";

const SIZE = 200;
const KEPT = 60; // chunks; those far away are fetched again

export class Chunks {
  /** `changed` is called when photographs arrive; `moved` when the collection is of another generation than before. */
  constructor({ changed, moved }) {
    this.total = 0;
    this.counted = false; // whether that is the number of those that were chosen last
    this.generation = null;
    this.order = "name";
    this.where = []; // conditions on the metadata
    this.refused = false; // whether they make no sense
    this.known = new Map(); // number of the chunk -> {images, fresh}
    this.underWay = new Map(); // number of the chunk -> AbortController
    this.changed = changed;
    this.moved = moved;
  }

  /** The photograph at a place; undefined while it is not known. */
  at(index) {
    return this.known.get(Math.floor(index / SIZE))?.images[index % SIZE];
  }

  /** Fetch what is missing between two places, and give up what was under way elsewhere. */
  want(first, last) {
    if (this.refused) return;
    const from = Math.floor(Math.max(0, first) / SIZE);
    const to = Math.floor(Math.max(0, last) / SIZE);
    for (const [number, control] of this.underWay) {
      if (number < from || number > to) control.abort();
    }
    for (let number = from; number <= to; number++) {
      if (!this.known.get(number)?.fresh && !this.underWay.has(number)) this.#fetch(number);
    }
    for (const number of [...this.known.keys()]) {
      if (this.known.size > KEPT && (number < from || number > to)) this.known.delete(number);
    }
  }

  /** Everything may have changed; what is known is shown until the new is there. */
  renew() {
    for (const chunk of this.known.values()) chunk.fresh = false;
    this.#stop();
  }

  /** Another order, or other conditions: nothing that is known is of use. Whether they are others. */
  choose({ order, where }) {
    const sameOnes = JSON.stringify(where) === JSON.stringify(this.where);
    if (sameOnes && order === this.order) return false;
    this.counted &&= sameOnes; // in another order they are as many
    this.order = order;
    this.where = where;
    this.refused = false;
    this.known.clear();
    this.#stop();
    return true;
  }

  #refuse() {
    this.refused = true;
    this.total = 0;
    this.changed();
  }

  #stop() {
    for (const control of this.underWay.values()) control.abort();
    this.underWay.clear();
  }

  async #fetch(number) {
    const control = new AbortController();
    this.underWay.set(number, control);
    const query = { offset: number * SIZE, limit: SIZE, order: this.order, where: this.where };
    try {
      const answer = await ask("/v1/images", { query, signal: control.signal });
      if (control.signal.aborted) return;
      const before = this.generation;
      this.generation = answer.generation;
      this.total = answer.total;
      this.counted = true;
      if (before !== null && before !== answer.generation) {
        for (const chunk of this.known.values()) chunk.fresh = false;
      }
      const old = this.known.get(number)?.images;
      this.known.set(number, { images: answer.images, fresh: true });
      if (old) this.moved(number * SIZE, old, answer.images);
      this.changed();
    } catch (error) {
      if (control.signal.aborted) return;
      if (error.status === 422) this.#refuse(); // as it will be whenever that is asked
      report(error);
    } finally {
      if (this.underWay.get(number) === control) this.underWay.delete(number);
    }
  }
}
