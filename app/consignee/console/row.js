// One destination in the list: how it is, tested and switched on and off where it stands.

import { announce, badge, button, fill, h, link, problem, when, working } from "./dom.js";
import { conclude, plain, run } from "./steps.js";

const DELIVERED = {
  success: ["Delivered", "good"], failed: ["Failed", "bad"], retrying: ["Retrying", "warn"],
  uploading: ["Uploading", "busy"], pending: ["Waiting", ""], skipped: ["Skipped", ""],
};

// How a destination is, in one badge; the word says it, the colour only helps.
export function state(one) {
  if (!one.enabled) return badge("Disabled");
  if (one.deliveries.state === "needs_attention") return badge("Needs attention", "bad");
  if (one.last_test && !one.last_test.ok) return badge("Test failed", "bad");
  if (one.deliveries.state === "failing") return badge("Failing", "warn");
  return one.last_test ? badge("Works", "good") : badge("Not tested");
}

export class Row {
  constructor(list, one) {
    this.list = list;
    this.stateCell = h("td", { "data-label": "State" });
    this.testCell = h("td", { "data-label": "Last test" });
    this.deliveryCell = h("td", { "data-label": "Last delivery" }, h("span", { class: "muted" }, "…"));
    this.nameCell = h("th", { scope: "row" });
    this.test = button("Test", () => this.retest(), { class: "small" });
    this.toggle = button("", () => this.switch(), { class: "small" });
    this.result = h("div", { class: "result" });
    this.more = h("tr", { class: "more", hidden: true }, h("td", { colspan: 5 }, this.result,
      button("Close", () => { this.more.hidden = true; this.test.focus(); }, { class: "small" })));
    this.elements = [
      h("tr", null, this.nameCell, this.stateCell, this.testCell, this.deliveryCell, h("td", { class: "actions" }, h("div", { class: "row" }, this.test, this.toggle))),
      this.more,
    ];
    this.update(one);
  }

  update(one) {
    this.one = one;
    const type = this.list.labels[one.type] ?? one.type;
    fill(this.nameCell, link(one.name, `#/destinations/${one.id}`), h("p", { class: "hint" }, type, h("br"), h("span", { class: "mono" }, place(one).split(/(?<=\/)/).map((folder) => h("span", null, folder)))));
    const attention = one.enabled ? one.deliveries.attention : null;
    fill(this.stateCell, state(one), attention ? h("p", { class: "hint" }, attention.message) : null);
    const test = one.last_test;
    const code = test && !test.ok ? test.connectivity.steps.find((step) => !step.ok)?.code : null;
    fill(this.testCell, when(test?.at), test ? h("p", { class: "hint" }, h("span", { class: test.ok ? "good" : "bad" }, test.ok ? "Passed" : sentence(code ?? "failed"))) : null);
    this.toggle.textContent = one.enabled ? "Disable" : "Enable";
    this.toggle.setAttribute("aria-label", `${this.toggle.textContent} ${one.name}`);
    this.test.setAttribute("aria-label", `Test ${one.name}`);
  }

  async refresh() {
    const { api, signal } = this.list.context;
    this.update((await api.get(`/destinations/${this.one.id}`, null, signal)).destination);
  }

  async lastDelivery(signal) {
    const asked = { destination_id: this.one.id, page_size: 1 };
    const [last] = (await this.list.context.api.get("/deliveries", asked, signal)).deliveries;
    if (!last) return void fill(this.deliveryCell, h("span", { class: "muted" }, "none yet"));
    const [word, kind] = DELIVERED[last.status] ?? [last.status, ""];
    fill(this.deliveryCell, link(when(last.ended_at ?? last.created_at), `#/deliveries?destination_id=${this.one.id}`), h("p", { class: "hint" }, h("span", { class: kind }, word)));
  }

  unknown() {
    fill(this.deliveryCell, h("span", { class: "muted" }, "not known"));
  }

  // A line of the test of all.
  heard(line) {
    fill(this.stateCell, line.ok ? badge("Works", "good") : badge("Test failed", "bad"));
  }

  retest() {
    return working(this.test, async () => {
      const { api, signal } = this.list.context;
      fill(this.stateCell, badge("Testing", "busy"));
      this.more.hidden = false;
      try {
        await run(this.result, api, `/destinations/${this.one.id}/test`, {}, signal);
        await this.refresh();
      } catch (error) {
        this.failed(error);
      }
    });
  }

  switch() {
    return working(this.toggle, async () => {
      const { api, signal } = this.list.context;
      const enabled = !this.one.enabled;
      if (enabled) fill(this.stateCell, badge("Testing", "busy"));
      try {
        const answer = await api.send("PUT", `/destinations/${this.one.id}`, { enabled }, signal);
        this.more.hidden = true;
        this.update(answer.destination);
        announce(`${this.one.name} is ${enabled ? "enabled" : "disabled"}.`);
      } catch (error) {
        this.failed(error, enabled ? "It stays disabled. " : "");
      }
    });
  }

  failed(error, before = "") {
    if (this.list.context.signal.aborted) return;
    this.update(this.one);
    this.more.hidden = false;
    const { connectivity } = error.answer ?? {};
    if (connectivity) conclude(this.result, { ok: false, message: before + plain(error.message), connectivity });
    else fill(this.result, problem(error));
  }
}

const sentence = (code) => code[0].toUpperCase() + code.slice(1).replaceAll("_", " ");

// The bucket, and the prefix under which files go, whatever the type calls them.
function place(one) {
  const names = Object.keys(one);
  const bucket = one[names.find((name) => /_(bucket|container)_name$/.test(name))] ?? "";
  const prefix = one[names.find((name) => name.endsWith("_path_prefix"))];
  return prefix ? `${bucket}/${prefix.replace(/^\/+/, "")}` : bucket;
}
