// How a delivery is: its status in words, how far it is, what went wrong, and its log.

import { badge, bytes, fill, h, when } from "./dom.js";

export const STATUSES = {
  pending: ["Waiting", ""],
  uploading: ["Uploading", "busy"],
  retrying: ["Will be retried", "warn"],
  success: ["Delivered", "good"],
  failed: ["Failed", "bad"],
  skipped: ["Skipped", ""],
};
export const SENT = { ...STATUSES, uploading: ["Sending", "busy"], success: ["Sent", "good"] };
const UNFINISHED = ["pending", "uploading", "retrying"];
const REMEDIES = {
  clock_skew: "Ask whoever runs this service to set its clock.",
  endpoint_unreachable: "Check that the endpoint is up and can be reached.",
  timeout: "It did not answer in time: check that it is well.",
  throttled: "The storage asks to slow down.",
  provider_error: "The storage reported a fault of its own.",
  unavailable: "This service could not do its part.",
  internal_error: "This service is at fault: tell whoever runs it.",
  webhook_refused: "The receiver answered, but not with success. Look at its log.",
};

export const isUnfinished = (status) => UNFINISHED.includes(status);
export const word = (status, words = STATUSES) => words[status]?.[0] ?? status;
export const statusBadge = (status, words = STATUSES) => badge(...(words[status] ?? [status]));

// "2 delivered, 1 failed", as badges
export function summary(statuses) {
  const found = Object.keys(STATUSES).map((status) => [status, statuses.filter((one) => one === status).length]);
  const one = ([status, count]) => badge(`${count} ${word(status).toLowerCase()}`, STATUSES[status][1]);
  const shown = found.filter(([, count]) => count).map(one);
  return shown.length ? h("span", { class: "row" }, shown) : h("span", { class: "muted" }, "No destinations");
}

export function filesDone(status) {
  return `${status.files_done} of ${status.files_total} file${status.files_total === 1 ? "" : "s"}, ${bytes(status.bytes_done)}`;
}

function logList(log) {
  const entry = (one) => h("li", null, when(one.date_time), h("span", null, one.text));
  if (!log.length) return h("p", { class: "hint" }, "Nothing yet.");
  return h("ol", { class: "entries", tabindex: "0", "aria-label": "Log" }, [...log].reverse().map(entry));
}

// Names and values side by side.
export function facts(pairs, name = "pairs") {
  const one = ([term, ...value]) => h("div", null, h("dt", null, term), h("dd", null, value));
  return h("dl", { class: name }, pairs.filter(Boolean).map(one));
}

// What went wrong last, in a sentence, with what to do about it.
function failure(status) {
  if (!status.code || !["failed", "retrying"].includes(status.status)) return null;
  const hasFailed = status.status === "failed";
  const told = status.log.at(-1)?.text ?? "";
  const code = told.includes(status.code) ? null : h("code", null, status.code);
  const then = hasFailed ? "Send it again when that is mended." : "It is tried again by itself.";
  return h("div", { class: hasFailed ? "problem" : "note" },
    h("p", null, told, " ", code), h("p", { class: "hint" }, REMEDIES[status.code], " ", then));
}

// The status of a delivery, or of a message to a webhook: `update` shows another one without closing what is open.
// `more` returns what else is to be told.
export function panel(first, more = () => []) {
  const state = h("div");
  const log = h("div");
  const update = (status) => {
    fill(state, situation(status, more(status)));
    fill(log, logList(status.log));
  };
  update(first);
  return { update, element: h("div", null, state, h("details", null, h("summary", null, "Log, newest first"), log)) };
}

function situation(status, more) {
  const isMoving = isUnfinished(status.status) && status.files_total > 0;
  return [
    isMoving ? h("progress", { max: status.files_total, value: status.files_done, "aria-label": "Files delivered" }) : null,
    facts([
      ...more,
      "files_total" in status ? ["Files", filesDone(status)] : null,
      ["Attempts", String(status.attempts)],
      status.next_attempt_at ? ["Next attempt", when(status.next_attempt_at)] : null,
    ], more.length ? "pairs" : "pairs brief"),
    failure(status),
  ];
}
