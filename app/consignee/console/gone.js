// What is shown in place of something that is not there (any more).

import { h, link } from "./dom.js";

export function gone(what, why, back, to) {
  return h("div", null, h("div", { class: "head" }, h("h1", null, `There is no such ${what}`)),
    h("p", null, why), h("p", null, link(back, to, { class: "button" })));
}

// What `show` returns; if the service knows nothing of it, `otherwise` instead.
export async function unless404(show, otherwise) {
  try {
    return await show();
  } catch (error) {
    if (error.status !== 404) throw error;
    return otherwise();
  }
}
