// Elements made by hand: text only ever becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

// h("p", { class: "hint", onclick: save }, "text", element, [more]); null, undefined and false are left out.
export function h(tag, attributes, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

// The same for SVG.
export function s(tag, attributes, ...children) {
  return dressed(document.createElementNS(SVG, tag), attributes, children);
}

function dressed(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

// Put other children in place of an element's own.
export function fill(element, ...children) {
  element.replaceChildren();
  return dressed(element, null, children);
}

// Say it to who listens instead of looks; also the same text twice.
export function announce(text) {
  const region = document.getElementById("announcements");
  region.textContent = "";
  setTimeout(() => { region.textContent = text; }, 50);
}

const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const SHORT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

// A time as <time>: how long ago if that is less than a week, with the full time to hover over.
export function when(iso, otherwise = "never") {
  if (!iso) return h("span", { class: "muted" }, otherwise);
  const at = new Date(iso);
  const seconds = (at - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, one]) => Math.abs(seconds) >= one) ?? UNITS.at(-1);
  const near = Math.abs(seconds) < 7 * 86400;
  const text = near ? AGO.format(Math.trunc(seconds / size), unit) : SHORT.format(at);
  return h("time", { datetime: iso, title: FULL.format(at) }, text);
}

// 1536 -> "1.5 KB"
export function bytes(number) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let index = 0;
  while (number >= 1000 && index < units.length - 1) { number /= 1024; index += 1; }
  return `${number.toFixed(index && number < 10 ? 1 : 0)} ${units[index]}`;
}

// kind: "good", "bad", "warn", "busy", or nothing for what is neither.
export function badge(text, kind = "") {
  return h("span", { class: `badge ${kind}` }, text);
}

export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, text);
}

export function link(text, href, attributes = {}) {
  return h("a", { href, ...attributes }, text);
}

// What is shown where there is nothing yet: what it is for, and what to do.
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, h("h2", null, title), h("p", null, text), actions.length ? h("p", { class: "row" }, actions) : null);
}

// An error as a person reads it, with what helps the operator to find it.
export function problem(error, again) {
  return h("div", { class: "problem", role: "alert" },
    h("p", null, error.message || "Something went wrong."),
    error.trace ? h("p", { class: "hint" }, "Trace id, for the operator's log: ", h("code", null, error.trace)) : null,
    again ? h("p", null, button("Try again", again)) : null);
}

// Do it, and tell in `place` what went wrong, unless the page was left meanwhile.
export async function guarded(work, place, signal) {
  try {
    await work();
    fill(place);
  } catch (error) {
    if (!signal.aborted) fill(place, problem(error));
  }
}

// Ask before something that can't be taken back; true if it was confirmed. Escape and "Cancel" say no.
export function ask({ title, text, action, danger = true }) {
  return new Promise((resolve) => {
    const no = button("Cancel", () => dialog.close());
    const yes = button(action, () => dialog.close("yes"), { class: danger ? "danger" : "primary" });
    const dialog = h("dialog", { "aria-labelledby": "ask-title", "aria-describedby": "ask-text" },
      h("h2", { id: "ask-title" }, title), h("div", { id: "ask-text" }, text), h("p", { class: "row end" }, no, yes));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}

// What the API says of a field, as a sentence: "must be short" -> "Must be short."
const sentence = (text) => (text === "is required" ? "Fill this in." : text[0].toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? "" : "."));

let fields = 0;

// A labelled control: label, control, help, and a place for what is wrong with it. `set` shows errors, or takes them away.
export function field(label, control, { help = null, required = false, optional = !required, beside = null, id = `field-${(fields += 1)}` } = {}) {
  const helpId = `${id}-help`;
  const errorId = `${id}-error`;
  control.id = id;
  const error = h("p", { class: "error", id: errorId, hidden: true });
  const box = h("div", { class: "field" },
    h("label", { for: id }, label, optional ? h("span", { class: "muted" }, " (optional)") : null),
    beside ? h("div", { class: "beside" }, control, beside) : control, error, help ? h("p", { class: "hint", id: helpId }, help) : null);
  const describe = (wrong) => control.setAttribute("aria-describedby", [help && helpId, wrong && errorId].filter(Boolean).join(" "));
  describe(false);
  if (required) control.setAttribute("aria-required", "true");
  return {
    box,
    control,
    set(messages) {
      const wrong = Boolean(messages?.length);
      error.textContent = wrong ? messages.map(sentence).join(" ") : "";
      error.hidden = !wrong;
      wrong ? control.setAttribute("aria-invalid", "true") : control.removeAttribute("aria-invalid");
      describe(wrong);
    },
  };
}

// A button that works: while its promise is open it can't be pressed again.
export async function working(pressed, work) {
  if (pressed.getAttribute("aria-disabled") === "true") return undefined;
  pressed.setAttribute("aria-disabled", "true");
  try {
    return await work();
  } finally {
    pressed.removeAttribute("aria-disabled");
  }
}
