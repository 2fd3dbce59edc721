// What the page knows, in one place; parts of the page watch what they show.

export const state = {
  status: null, // last answer of /v1/status
  trouble: null, // why there is no newer one
  down: false, // whether the service does not answer
  syncAsked: false, // a sync was asked for and has not shown up yet
  view: "collection", // or "results"
  order: "name",
  listed: null, // photographs of the collection that pass the filters; null where nobody knows
  examples: [],
  filters: [],
  parts: false, // whether photographs are found by their parts too
  answer: null, // of the search with these examples, filters and parts
  searching: false,
  cutoff: 0,
};

const watchers = [];

/** Change some of the state, and tell who watches any of that. */
export function update(changes) {
  const changed = Object.keys(changes).filter((name) => state[name] !== changes[name]);
  Object.assign(state, changes);
  for (const { names, react } of watchers) {
    if (names.some((name) => changed.includes(name))) react(state);
  }
}

export function watch(names, react) {
  watchers.push({ names, react });
}
