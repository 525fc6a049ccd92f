// The fields of a destination type, drawn from what GET /destination-types says of them.

import { button, field, h } from "./dom.js";

const ORDER = [/endpoint$/, /account_name$/, /region/, /addressing/, /(bucket|container)_name$/];
const rank = ({ name }) => (ORDER.findIndex((one) => one.test(name)) + 1 || 9) + (isPrefix(name) ? 9 : 0);
const OWN = "\0own";

export const isPrefix = (name) => name.endsWith("_path_prefix");

// A control with `read()` and `write(value)` beside what `field` makes. `saved`: a secret is set already, and stays unless typed.
export function drawn(about, { value = "", saved = false, oninput }) {
  const made = about.secret ? secret(about, { value, saved, oninput }) : about.choices.length ? choice(about, value, oninput) : text(value, oninput);
  const help = saved ? "Saved. Leave it empty to keep it." : isPrefix(about.name) ? "Folders for the files. Without one, they lie at the top of the bucket." : about.help;
  const wrapped = field(about.label, made.control, { required: about.required && !saved, optional: !about.required, help, beside: made.beside });
  return { ...wrapped, about, read: made.read ?? (() => made.control.value), write: made.write ?? ((now) => { made.control.value = now; }) };
}

function text(value, oninput) {
  return { control: h("input", { type: "text", value, oninput, autocomplete: "off", autocapitalize: "none", spellcheck: "false" }) };
}

function secret(about, { value, saved, oninput }) {
  const attributes = { value, oninput, autocomplete: "new-password", autocapitalize: "none", spellcheck: "false", placeholder: saved ? "unchanged" : null };
  if (about.multiline) return { control: h("textarea", { ...attributes, class: "masked", rows: 5 }) };
  const control = h("input", { type: "password", ...attributes });
  const show = button("Show", () => {
    const hidden = control.type === "password";
    control.type = hidden ? "text" : "password";
    show.textContent = hidden ? "Hide" : "Show";
    show.setAttribute("aria-pressed", String(hidden));
  }, { "aria-pressed": "false", "aria-label": `Show ${about.label}` });
  return { control, beside: show };
}

// A region that is not in the list may be there all the same, so it can be typed in.
function choice(about, value, oninput) {
  const isOpen = /region/.test(about.name);
  const known = about.choices.map((one) => [one.value, isOpen ? `${one.label} · ${one.value}` : one.label]);
  return picker([["", about.required ? "Choose…" : "Default"], ...known], value, { label: about.label, isOpen, oninput });
}

// A <select>; where it `isOpen`, with "Another…" at its end, and then a text in its place.
export function picker(options, value, { label, isOpen, oninput }) {
  const own = h("input", { type: "text", "aria-label": `${label}: another`, oninput, hidden: true });
  const control = h("select", {
    onchange: (event) => {
      own.hidden = control.value !== OWN;
      if (!own.hidden) own.focus();
      oninput(event);
    },
  }, options.map(([one, text_]) => h("option", { value: one }, text_)), isOpen ? h("option", { value: OWN }, "Another…") : null);
  const write = (now) => {
    const known = options.some(([one]) => one === now);
    control.value = known || !isOpen ? now : OWN;
    own.hidden = known || !isOpen;
    own.value = known ? "" : now;
  };
  write(value);
  return { control, beside: isOpen ? own : null, write, read: () => (control.value === OWN ? own.value.trim() : control.value) };
}

// Which of two kinds of credentials: those of the fields that another can take the place of, or that other.
function alternatives(fields, all) {
  const other = fields.find((one) => all.some(({ about }) => about.unless === one.about.name));
  if (!other) return null;
  const group = fields.filter((one) => one.about.unless === other.about.name);
  const pick = (isOther) => {
    other.box.hidden = !isOther;
    for (const one of group) one.box.hidden = isOther;
  };
  const radio = (text_, isOther, checked) => h("label", { class: "check" }, h("input", { type: "radio", name: "credentials", checked, onchange: () => pick(isOther) }), text_);
  return { pick, box: h("div", { class: "row options", role: "radiogroup", "aria-label": "Kind of credentials" }, [false, true].map((isOther) => radio(isOther ? other.about.label : group.map((one) => one.about.label).join(" and "), isOther, false))), other };
}

// All fields of a type but name and enabled: { place, credentials, fields }; `place` are those that may be shown, `credentials`
// what is drawn for the others, and `fields` all by name.
export function form(type, { values = {}, set = [], oninput }) {
  const own = type.fields.filter(({ name }) => !["name", "enabled"].includes(name)).sort((one, two) => rank(one) - rank(two));
  const isNeeded = ({ name, required }) => required || own.some((one) => one.unless === name);
  const all = own.map((about) => drawn({ ...about, required: isNeeded(about) }, { value: values[about.name] ?? "", saved: set.includes(about.name), oninput }));
  const secrets = all.filter((one) => one.about.secret);
  const ways = alternatives(secrets, all);
  if (ways) {
    const isOther = set.includes(ways.other.about.name);
    ways.pick(isOther);
    ways.box.querySelectorAll("input")[Number(isOther)].checked = true;
  }
  return {
    fields: Object.fromEntries(all.map((one) => [one.about.name, one])),
    place: all.filter((one) => !one.about.secret),
    credentials: [ways?.box, secrets.map((one) => one.box)],
  };
}
