// Links to the pages of a list.

import { h, link } from "./dom.js";

export function pager(path, current, total) {
  if (total <= 1) return null;
  const to = (page, text) => (page >= 1 && page <= total ? link(text, `${path}?page=${page}`, { class: "button small" }) : null);
  return h("nav", { class: "row pager", "aria-label": "Pages" },
    to(current - 1, "Previous"), h("span", { class: "muted" }, `Page ${current} of ${total}`), to(current + 1, "Next"));
}
