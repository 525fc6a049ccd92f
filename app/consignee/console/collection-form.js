// Create and edit a collection.

import { nameOf } from "./catalog.js";
import { badge, button, field, fill, h, link, problem, working } from "./dom.js";

const SECRET = "notification_webhook_secret";

export function form(context, collection, known) {
  const parts = fields(collection, known);
  const trouble = h("div");
  const submit = h("button", { type: "submit", class: "primary" }, collection ? "Save" : "Create collection");
  const element = h("div", null,
    link(collection ? collection.name : "All collections", back(collection), { class: "back" }),
    h("div", { class: "head" }, h("h1", null, collection ? `Edit ${collection.name}` : "New collection")));
  const save = () => working(submit, () => saved(context, collection, parts, { trouble, element }));
  element.append(h("form", { class: "card form", novalidate: true, onsubmit: (event) => { event.preventDefault(); save(); } },
    trouble, Object.values(parts).map((one) => one.box),
    h("p", { class: "row" }, submit, link("Cancel", back(collection), { class: "button quiet" }))));
  return element;
}

const back = (collection) => (collection ? `#/collections/${collection.id}` : "#/collections");

function fields(collection, known) {
  const text = (value, attributes) => h("input", { type: "text", value: value ?? "", autocomplete: "off", ...attributes });
  const hasSecret = collection?.secrets_set.includes(SECRET);
  const of = (made, read) => Object.assign(made, { read });
  const name = field("Name", text(collection?.name, { maxlength: 200 }), { required: true, help: "Becomes %COLLECTION_NAME% in path prefixes." });
  const webhook = field("Webhook", text(collection?.notification_webhook, { type: "url", placeholder: "https://" }),
    { help: "A URL that is told when all deliveries of a result set have ended." });
  const help = hasSecret ? "Leave it empty to keep the one that is set."
    : "Signs the messages: whsec_ and base64. Leave it empty and one is made, and shown once.";
  const placeholder = hasSecret ? "Unchanged" : "";
  const secret = field("Webhook secret", text("", { type: "password", autocomplete: "new-password", placeholder }), { help });
  return {
    name: of(name, () => name.control.value),
    destination_ids: picker(collection?.destination_ids ?? [], known),
    notification_webhook: of(webhook, () => webhook.control.value.trim()),
    [SECRET]: of(secret, () => secret.control.value.trim()),
    manifest: check(collection?.manifest ?? false),
  };
}

function check(value) {
  const control = h("input", { type: "checkbox", id: "manifest", checked: value, "aria-describedby": "manifest-help" });
  const error = h("p", { class: "error", hidden: true });
  return {
    control,
    box: h("div", { class: "field" }, h("label", { class: "check", for: "manifest" }, control, "Add a manifest"),
      h("p", { class: "hint", id: "manifest-help" }, "Each result set then ends with _manifest.json, which lists its files with their checksums."), error),
    read: () => control.checked,
    set: (messages) => { error.textContent = messages.join("; "); error.hidden = !messages.length; },
  };
}

// The destinations, one checkbox each; those that were deleted since can only be taken out.
function picker(chosen, known) {
  const ids = [...known.keys(), ...chosen.filter((id) => !known.has(id))];
  const boxes = ids.map((id) => h("input", { type: "checkbox", value: id, checked: chosen.includes(id) }));
  const error = h("p", { class: "error", id: "picker-error", hidden: true });
  const option = (id, at) => h("label", { class: "check" }, boxes[at], h("span", null, nameOf(known, id)), " ",
    h("span", { class: "muted" }, known.get(id)?.type), " ", known.get(id)?.enabled === false ? badge("Disabled") : null);
  return {
    control: boxes[0],
    box: h("fieldset", { "aria-describedby": "picker-error" }, h("legend", null, "Destinations"),
      ids.length ? h("div", { class: "choices" }, ids.map(option))
        : h("p", { class: "hint" }, "There is none yet. ", link("Add a destination", "#/destinations/new"), " first, or choose later."),
      h("p", { class: "hint" }, "Each result set goes to all of these that are enabled. With none, files are only kept here."), error),
    read: () => boxes.filter((box) => box.checked).map((box) => box.value),
    set: (messages) => { error.textContent = messages.join("; "); error.hidden = !messages.length; },
  };
}

// Only what was changed is sent, so that nobody else's change is undone.
export function changes(before, values) {
  const told = (value) => JSON.stringify(Array.isArray(value) ? [...value].sort() : (value ?? ""));
  const differs = ([name, value]) => (name === SECRET ? value !== "" : told(value) !== told(before[name]));
  return before ? Object.fromEntries(Object.entries(values).filter(differs)) : values;
}

async function saved({ api, announce, go, signal }, collection, parts, { trouble, element }) {
  const values = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.read()]));
  for (const part of Object.values(parts)) part.set([]);
  fill(trouble);
  try {
    const path = collection ? `/collections/${collection.id}` : "/collections";
    const answer = await api.send(collection ? "PUT" : "POST", path, changes(collection, values), signal);
    announce(collection ? "Saved" : "Collection created");
    const made = answer.collection[SECRET];
    if (made) fill(element, ...secretOnce(made, () => go(`/collections/${answer.collection.id}`)));
    else go(`/collections/${answer.collection.id}`);
    if (made) element.querySelector("h1").focus();
  } catch (error) {
    if (!signal.aborted) show(error, parts, trouble);
  }
}

function show(error, parts, trouble) {
  const wrong = Object.entries(parts).filter(([name]) => error.errors[name]);
  fill(trouble, wrong.length ? h("p", { class: "problem", role: "alert" }, "Not saved: mend what is marked below.") : problem(error));
  for (const [name, part] of wrong) part.set(error.errors[name]);
  wrong[0]?.[1].control?.focus();
}

function secretOnce(secret, done) {
  const told = h("span", { class: "hint", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      told.textContent = "Copied";
    } catch {
      told.textContent = "It can't be copied from here: select it.";
    }
  };
  return [
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Keep this secret")),
    h("div", { class: "card" },
      h("p", null, "It signs the messages to the webhook. Give it to whoever receives them. It is shown now and never again."),
      h("pre", { class: "secret", tabindex: "0", "aria-label": "Webhook secret" }, secret),
      h("p", { class: "row end" }, told, button("Copy", copy), button("I have kept it", done, { class: "primary" }))),
  ];
}
