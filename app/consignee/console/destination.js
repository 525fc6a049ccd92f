// What is known of a saved destination: how it is, its last test, how deliveries to it go.

import { button, fill, h, link, problem, when, working } from "./dom.js";
import { state } from "./row.js";
import { reported } from "./steps.js";

export function about(context, one, type) {
  const { last_test: test, deliveries, used_by: users } = one;
  const { attention, log } = deliveries;
  const pairs = [
    ["State", state(one)],
    ["Type", type],
    ["Last test", h("span", null, when(test?.at), test ? h("span", { class: test.ok ? "good" : "bad" }, test.ok ? " passed" : " failed") : null)],
    ["Collections", users ? (users === 1 ? "1 delivers to it" : `${users} deliver to it`) : "none deliver to it yet"],
    deliveries.next_probe_at ? ["Tried again", when(deliveries.next_probe_at)] : null,
    ["Id", h("code", null, one.id)],
  ].filter(Boolean);
  return h("section", { "aria-label": "About it" },
    attention && one.enabled ? h("div", { class: "problem" }, h("p", null, attention.message), attention.hint ? h("p", null, attention.hint) : null) : null,
    h("dl", { class: "facts" }, pairs.map(([term, text]) => h("div", null, h("dt", null, term), h("dd", null, text)))),
    test && !test.ok ? h("details", { open: true }, h("summary", null, "What the last test found"), reported(test.connectivity)) : null,
    log.length ? h("details", null, h("summary", null, "What happened"), h("ul", { class: "log" }, log.toReversed().map((entry) => h("li", null, when(entry.date_time), ` ${entry.text}`)))) : null,
    h("p", { class: "row" }, link("Deliveries to it", `#/deliveries?destination_id=${one.id}`), resend(context, one)));
}

// What failed or was skipped is sent again.
function resend({ api, announce, signal }, one) {
  const told = h("span", { class: "hint" });
  const pressed = button("Repeat what failed", () => working(pressed, async () => {
    try {
      const { resent } = await api.send("POST", `/destinations/${one.id}/resend`, {}, signal);
      told.textContent = resent ? `${resent === 1 ? "1 delivery is" : `${resent} deliveries are`} repeated.` : "Nothing failed or was skipped.";
      announce(told.textContent);
    } catch (error) {
      if (!signal.aborted) fill(told, problem(error));
    }
  }), { class: "small" });
  return [pressed, told];
}
