// The connectivity test, step by step: while it runs, and what came of it.

import { announce, fill, h } from "./dom.js";

const STEPS = { resolve: "Find the host", connect: "Connect", upload: "Upload a test file", delete: "Delete the test file" };
const ORDER = Object.keys(STEPS);
const WORDS = { ok: "done", failed: "failed", running: "under way", waiting: "waiting", skipped: "not reached" };
const SIGNS = { ok: "✓", failed: "✕", running: "", waiting: "", skipped: "–" };

function item(step, state, more) {
  return h("li", { class: `step ${state}` },
    h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[state]),
    h("div", null, h("span", null, STEPS[step] ?? step, h("span", { class: "unseen" }, `: ${WORDS[state]}`)), more));
}

function ended(one) {
  const details = [one.code, one.provider_code && `storage says ${one.provider_code}`, one.provider_request_id && `request ${one.provider_request_id}`];
  const time = h("span", { class: "muted" }, ` ${one.ms} ms`);
  if (one.ok) return item(one.step, "ok", time);
  return item(one.step, "failed", [time, one.hint ? h("p", null, one.hint) : null, h("p", { class: "hint mono" }, details.filter(Boolean).join(" · "))]);
}

// A report as it is kept with a destination, or answered.
export function reported(connectivity) {
  const done = connectivity.steps.map((one) => one.step);
  const rest = connectivity.ok ? [] : ["upload", "delete"].filter((one) => !done.includes(one));
  return h("ol", { class: "steps" }, connectivity.steps.map(ended), rest.map((one) => item(one, "skipped")),
    connectivity.left_behind ? h("li", { class: "hint" }, "Left behind: ", h("code", null, connectivity.left_behind), ". The service goes on trying to remove it.") : null);
}

// The message of a failed test without what the reader of it knows anyway.
export const plain = (message) => (message ?? "").replace(/^The connectivity test failed\. /, "") || "The connectivity test failed.";

// Run a test and show it in `box` as it goes on; returns { ok, message, connectivity }. Errors other than of the storage are thrown.
export async function run(box, api, path, body, signal) {
  const seen = new Set();
  // Not every test has every step: an address needs no finding, and a connection may be there already.
  const show = (current) => {
    seen.add(current);
    const state = (step) => (step === current ? "running" : seen.has(step) && ORDER.indexOf(step) < ORDER.indexOf(current) ? "ok" : "waiting");
    const shown = ORDER.filter((step) => seen.has(step) || ORDER.indexOf(step) > ORDER.indexOf(current));
    fill(box, h("p", { class: "verdict" }, "Testing…"), h("ol", { class: "steps" }, shown.map((step) => item(step, state(step)))));
  };
  box.hidden = false;
  fill(box, h("p", { class: "verdict" }, "Testing…"));
  announce("Testing");
  let outcome = null;
  await api.lines("POST", path, body, (line) => {
    if (line.under_way) show(line.under_way);
    else outcome = line;
  }, signal);
  if (!outcome) throw new Error("The answer broke off before the end of the test. Try again.");
  conclude(box, outcome);
  return outcome;
}

// Show what came of a test.
export function conclude(box, { ok, message, connectivity }) {
  const verdict = ok ? "It works: a test file was written and deleted." : plain(message);
  box.hidden = false;
  fill(box, h("p", { class: `verdict ${ok ? "good" : "bad"}` }, verdict), reported(connectivity));
  const hint = connectivity.steps.find((one) => !one.ok)?.hint ?? "";
  announce(`${verdict} ${hint}`);
}
