// One destination: made, changed, tested before it is saved, removed.

import { ask, button, field, fill, h, link, problem, working } from "./dom.js";
import { about } from "./destination.js";
import { form, isPrefix } from "./fields.js";
import { TUCKED, placing } from "./placing.js";
import { TOKENS, problems } from "./prefix.js";
import { PRESETS } from "./presets.js";
import { Preview } from "./preview.js";
import { conclude, run } from "./steps.js";

const COMPATIBLE = "s3compatible";

export async function page(context) {
  const { api, parameters, signal } = context;
  const [{ destination_types: types }, answer] = await Promise.all([
    api.get("/destination-types", null, signal),
    parameters.id ? api.get(`/destinations/${parameters.id}`, null, signal) : null,
  ]);
  return new Editor(context, types, answer?.destination ?? null).element;
}

class Editor {
  constructor(context, types, saved) {
    Object.assign(this, { context, types, saved, preset: null, key: null });
    this.title = saved ? saved.name : "New destination";
    context.setTitle(this.title);
    const oninput = () => this.changed();
    this.name = field("Name", h("input", { type: "text", value: saved?.name ?? "", oninput, autocomplete: "off", maxlength: 200 }), { required: true, help: "What you call it, such as “Reports for finance”." });
    this.enabled = h("input", { type: "checkbox", checked: saved?.enabled ?? true, id: "enabled", onchange: oninput, "aria-describedby": "enabled-help" });
    this.where = h("div");
    this.place = h("div");
    this.credentials = h("fieldset", { class: "card" });
    this.top = h("div");
    this.result = h("div", { class: "card result", hidden: true });
    this.preview = new Preview(context);
    this.test = button("Test", () => this.tryOut());
    this.save = h("button", { type: "submit", class: "primary" }, saved ? "Save changes" : "Create destination");
    this.element = this.frame();
    this.choose(saved ? this.typed(saved.type) : null);
  }

  frame() {
    const { saved } = this;
    const switched = h("div", { class: "field" }, h("label", { class: "check", for: "enabled" }, this.enabled, "Enabled"),
      h("p", { class: "hint", id: "enabled-help" }, "Result sets are delivered to it. It is tested before it is saved."));
    return h("div", null,
      link("Destinations", "#/destinations", { class: "back" }),
      h("div", { class: "head" }, h("h1", null, this.title), saved ? button("Delete", () => this.remove(), { class: "danger" }) : null),
      saved ? about(this.context, saved, this.typed(saved.type).label) : null,
      h("div", { class: "columns" },
        h("form", { novalidate: true, onsubmit: (event) => { event.preventDefault(); this.submit(); } },
          this.top, h("fieldset", { class: "card" }, h("legend", { class: "unseen" }, "Name and place"), this.name.box, saved ? null : this.storage(), this.where, this.place),
          this.credentials, switched, this.result,
          h("div", { class: "row" }, this.save, this.test, link("Cancel", "#/destinations", { class: "button quiet" }))),
        this.preview.element));
  }

  typed(name) {
    return this.types.find((one) => one.type === name) ?? { type: name, label: name, fields: [] };
  }

  // One question, where the bucket is: a type, or a store that speaks the protocol of one.
  storage() {
    const types = this.types.filter((one) => one.type !== COMPATIBLE).sort((one, two) => one.label.localeCompare(two.label)).map((one) => h("option", { value: one.type }, one.label));
    const isServed = types.length < this.types.length;
    const presets = [...PRESETS.map((one) => [one.id, one.name]), ["", `Other ${this.typed(COMPATIBLE).label}`]];
    const select = h("select", {
      onchange: () => {
        const [type, preset] = select.value.split("/");
        this.choose(type ? this.typed(type) : null, PRESETS.find((one) => one.id === preset) ?? null);
      },
    }, h("option", { value: "" }, "Choose…"), types,
    isServed ? h("optgroup", { label: "With the S3 protocol" }, presets.map(([id, name]) => h("option", { value: `${COMPATIBLE}/${id}` }, name))) : null);
    this.kind = field("Where is the bucket?", select, { required: true });
    return this.kind.box;
  }

  choose(type, preset = null) {
    const { saved } = this;
    const before = this.form && type ? this.values() : {};
    if (this.preset?.endpoint) for (const name of TUCKED) delete before[name];
    Object.assign(this, { type, preset, helpers: {} });
    this.form = type ? form(type, { values: saved ?? before, set: saved?.secrets_set ?? [], oninput: (event) => this.changed(event) }) : null;
    this.kind?.set([]);
    fill(this.place, this.drawn());
    fill(this.credentials, h("legend", null, "Credentials"), this.form?.credentials);
    this.credentials.hidden = !type;
    if (preset) this.helpers = placing(preset, { fields: this.form.fields, endpoint: this.endpoint, changed: () => this.changed() });
    fill(this.where, Object.values(this.helpers).map((one) => one.box));
    this.tokens();
    this.result.hidden = true;
    this.changed();
  }

  // What a preset knows is tucked away.
  drawn() {
    const isTucked = (one) => this.preset?.endpoint && TUCKED.includes(one.about.name);
    const all = this.form?.place ?? [];
    const tucked = all.filter(isTucked);
    this.endpoint = h("code");
    const details = h("details", { class: "tucked" }, h("summary", null, "Endpoint: ", this.endpoint), tucked.map((one) => one.box));
    return [tucked.length ? details : null, all.filter((one) => !isTucked(one)).map((one) => one.box)];
  }

  // Buttons that put a token into the prefix.
  tokens() {
    const found = this.prefix();
    if (!found) return;
    const put = (token) => {
      const { control } = found;
      control.setRangeText(token, control.selectionStart, control.selectionEnd, "end");
      control.focus();
      this.changed();
    };
    found.control.after(h("div", { class: "row tokens", role: "group", "aria-label": "Put into the prefix" },
      TOKENS.map((name) => button(`%${name}%`, () => put(`%${name}%`), { class: "small mono" }))));
  }

  prefix() {
    return Object.values(this.form?.fields ?? {}).find((one) => isPrefix(one.about.name)) ?? null;
  }

  values() {
    const shown = Object.values(this.form.fields).filter((one) => !one.box.hidden);
    return Object.fromEntries(shown.map((one) => [one.about.name, one.about.secret ? one.read() : one.read().trim()]));
  }

  // What is sent: of a saved destination what was changed, and of its secrets what was typed.
  body() {
    const all = { name: this.name.control.value.trim(), enabled: this.enabled.checked, ...this.values() };
    if (!this.saved) return { ...all, type: this.type.type };
    const isChanged = ([name, value]) => (this.form.fields[name]?.about.secret ? value !== "" : value !== (this.saved[name] ?? ""));
    return Object.fromEntries(Object.entries(all).filter(isChanged));
  }

  changed() {
    const prefix = this.prefix();
    const text = prefix?.read().trim() ?? "";
    if (prefix && document.contains(prefix.control)) prefix.set(problems(text));
    this.preview.show({ type: this.type, preset: this.preset, fields: this.form?.fields ?? {}, prefix: text });
  }

  tryOut() {
    return working(this.test, async () => {
      if (!this.ready()) return;
      const path = this.saved ? `/destinations/${this.saved.id}/test` : "/destinations/test";
      await this.attempt(() => run(this.result, this.context.api, path, this.body(), this.context.signal));
    });
  }

  submit() {
    return working(this.save, async () => {
      if (!this.ready()) return;
      const { api, announce, go, signal } = this.context;
      const body = this.body();
      const before = this.save.textContent;
      this.save.textContent = body.enabled === false || !this.enabled.checked ? "Saving…" : "Testing and saving…";
      await this.attempt(async () => {
        if (this.saved) await api.send("PUT", `/destinations/${this.saved.id}`, body, signal);
        else await api.send("POST", "/destinations", body, signal, this.once(body));
        announce(`${body.name ?? this.saved.name} is saved.`);
        go("/destinations");
      });
      this.save.textContent = before;
    });
  }

  // The same key for the same content: pressed again after a lost answer, it is made once.
  once(body) {
    const text = JSON.stringify(body);
    if (this.key?.text !== text) this.key = { text, key: [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("") };
    return { "Idempotency-Key": this.key.key };
  }

  ready() {
    fill(this.top);
    const lacking = Object.values(this.form?.fields ?? {}).filter((one) => one.control.getAttribute("aria-required") && !one.box.hidden && !one.read().trim());
    const errors = Object.fromEntries(lacking.map((one) => [one.about.name, ["is required"]]));
    const asked = errors.s3_endpoint ? Object.entries(this.helpers).filter(([, one]) => !one.read()) : [];
    for (const [name] of asked) errors[name] = ["is required"];
    if (asked.length) delete errors.s3_endpoint;
    if (!this.name.control.value.trim()) errors.name = ["is required"];
    if (!this.type) errors.type = ["Choose one."];
    return this.mark(errors);
  }

  // Show what is wrong beside each field; true if nothing is.
  mark(errors) {
    const known = { name: this.name, type: this.kind, ...this.form?.fields, ...this.helpers };
    for (const [name, one] of Object.entries(known)) one?.set(errors[name]);
    const others = Object.entries(errors).filter(([name]) => !known[name]).map(([name, texts]) => h("p", null, `${name}: ${texts.join("; ")}`));
    if (others.length) fill(this.top, h("div", { class: "problem", role: "alert" }, others));
    const count = Object.keys(errors).length;
    if (!count) return true;
    const wrong = this.element.querySelector('[aria-invalid="true"]');
    if (wrong?.closest("details")) wrong.closest("details").open = true;
    wrong?.focus();
    this.context.announce(count === 1 ? "One field needs attention." : `${count} fields need attention.`);
    return false;
  }

  async attempt(work) {
    try {
      await work();
    } catch (error) {
      if (this.context.signal.aborted) return;
      const { connectivity } = error.answer ?? {};
      if (connectivity) conclude(this.result, { ok: false, message: error.message, connectivity });
      else this.result.hidden = true;
      if (Object.keys(error.errors ?? {}).length) this.mark(error.errors);
      else if (!connectivity) fill(this.top, problem(error));
      if (connectivity) this.result.scrollIntoView({ block: "nearest" });
      else if (this.top.firstChild) this.top.scrollIntoView({ block: "center" });
    }
  }

  async remove() {
    const { api, announce, go } = this.context;
    const { name, used_by: users, id } = this.saved;
    const text = [users ? h("p", null, users === 1 ? "One collection delivers to it." : `${users} collections deliver to it.`) : null,
      h("p", null, "Deliveries to it that are under way are cancelled. Files that are in the bucket stay there.")];
    if (!(await ask({ title: `Delete “${name}”?`, text, action: "Delete" }))) return;
    await this.attempt(async () => {
      await api.send("DELETE", `/destinations/${id}`);
      announce(`${name} is deleted.`);
      go("/destinations");
    });
  }
}
