// Filters by the columns of the metadata: a field or two for each. The collection and a search share them.

import { afterwards, byId, make } from "./dom.js";
import { state, watch } from "./state.js";
import { columnName, count } from "./text.js";

const CHOICES = 12; // of a text, to pick from a list without typing
const TYPING_MILLISECONDS = 400;

/** `apply` is called with the filters whenever they have changed. */
export function beginFilters(apply) {
  const form = byId("filters");
  const changed = afterwards(TYPING_MILLISECONDS, () => {
    const filters = read(form);
    if (JSON.stringify(filters) !== JSON.stringify(state.filters)) apply(filters);
  });
  const clear = () => {
    form.reset();
    apply([]);
  };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("filters-clear").addEventListener("click", clear);
  byId("nothing-found-clear").addEventListener("click", clear);
  byId("nothing-passes-clear").addEventListener("click", clear);
  let built = "";
  watch(["status"], ({ status }) => {
    const columns = JSON.stringify(status.columns);
    if (columns === built || form.contains(document.activeElement)) return;
    built = columns;
    byId("filters-fields").replaceChildren(...status.columns.flatMap(fields));
    write(form);
  });
  watch(["view"], ({ view }) => byId(`${view}-filters`).append(byId("filters-panel")));
  watch(["filters", "listed", "status"], ({ filters, listed, status }) => {
    const pass = filters.length > 0 && listed !== null && status?.count > 0;
    byId("collection-count").textContent = pass ? `${count(listed, "photograph passes", "photographs pass")} the filters` : "";
    byId("nothing-passes").hidden = !(pass && listed === 0);
  });
  watch(["filters"], ({ filters }) => {
    byId("filters-count").textContent = filters.length ? `(${filters.length})` : "";
    byId("filters-clear").hidden = filters.length === 0;
    if (!form.contains(document.activeElement)) write(form);
  });
}

function fields(column) {
  const name = columnName(column.name);
  if (column.kind === "text") return [textField(column, name)];
  if (column.kind === "truth") return [labelled(name, select(column, ["true", "false"]))];
  if (column.kind === "other") return [];
  const type = column.kind === "time" ? "date" : "number";
  const unit = column.name === "size" ? " (bytes)" : "";
  const bound = (comparison, text) => {
    const input = make("input", { type, "data-column": column.name, "data-comparison": comparison });
    if (type === "number") input.step = "any";
    return labelled(text, input);
  };
  const pair = make("div", { className: `bounds ${type}` }, bound(">=", "from"), bound("<=", "to"));
  return [make("fieldset", {}, make("legend", {}, name + unit), pair)];
}

function textField(column, name) {
  const { values } = column;
  if (values && values.length <= CHOICES) return labelled(name, select(column, values));
  const input = make("input", { type: "search", "data-column": column.name, "data-comparison": "~" });
  input.placeholder = "contains …";
  const field = labelled(name, input);
  if (values) {
    const list = make("datalist", { id: `values-${column.name}` }, ...values.map((value) => make("option", { value })));
    input.setAttribute("list", list.id);
    field.append(list);
  }
  return field;
}

function select(column, values) {
  const options = values.map((value) => make("option", { value }, value));
  const chooser = make("select", { "data-column": column.name, "data-comparison": "=" });
  chooser.append(make("option", { value: "" }, "any"), ...options);
  return chooser;
}

const labelled = (name, input) => make("label", { className: "field" }, make("span", {}, name), input);

const inputs = (form) => [...form.querySelectorAll("[data-column]")];

function read(form) {
  return inputs(form)
    .filter((input) => input.value !== "" && input.validity.valid)
    .map((input) => {
      const { column, comparison } = input.dataset;
      const whole = input.list && [...input.list.options].some(({ value }) => value === input.value);
      return { column, comparison: whole ? "=" : comparison, value: toValue(input) };
    });
}

/** Show the filters of a search that the browser went back to. */
function write(form) {
  for (const input of inputs(form)) {
    const { column, comparison } = input.dataset;
    const same = state.filters.find(
      (filter) =>
        filter.column === column &&
        (filter.comparison === comparison || (comparison === "~" && filter.comparison === "=")),
    );
    const value = same ? fromValue(input, same.value) : "";
    // A text that no photograph has any more, or the filter would not be seen.
    if (input.options && ![...input.options].some((option) => option.value === value)) {
      input.append(make("option", { value }, value));
    }
    input.value = value;
  }
}

// A day is meant as it is here, which may be another time zone than that of the service.

function toValue(input) {
  if (input.type !== "date") return input.value;
  const time = input.dataset.comparison === ">=" ? "00:00:00.000" : "23:59:59.999";
  const moment = new Date(`${input.value}T${time}`);
  if (Number.isNaN(moment.getTime())) return input.value; // a year of five digits; the service says so
  return moment.toISOString();
}

function fromValue(input, value) {
  if (input.type !== "date") return value;
  const day = new Date(value);
  const two = (part) => String(part).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}
