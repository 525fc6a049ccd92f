// Tables: a column is its label, or a label with a class for its cells. The first cell of a row is the row's header.

import { h } from "./dom.js";

const parts = (column) => (Array.isArray(column) ? column : [column, null]);

export function table(caption, columns, body) {
  const heads = columns.map(parts).map(([label, name]) => h("th", { scope: "col", class: name }, label));
  return h("div", { class: "table" }, h("table", null,
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, heads)),
    Array.isArray(body) ? h("tbody", null, body) : body));
}

export function row(columns, first, ...cells) {
  const cell = (content, at) => {
    const [label, name] = parts(columns[at + 1]);
    return h("td", { class: name, "data-label": label }, content);
  };
  return h("tr", null, h("th", { scope: "row", class: parts(columns[0])[1] }, first), cells.map(cell));
}
