// A labelled list to choose from, for filters.

import { h } from "./dom.js";

let count = 0;

// `options` are [value, text]; `chosen` gets the value.
export function choice(label, options, value, chosen) {
  const id = `choice-${(count += 1)}`;
  const one = ([of, text]) => h("option", { value: of, selected: of === value }, text);
  const select = h("select", { id, onchange: () => chosen(select.value) }, options.map(one));
  return h("div", { class: "field" }, h("label", { for: id }, label), select);
}

export function filters(...choices) {
  return h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, choices);
}
