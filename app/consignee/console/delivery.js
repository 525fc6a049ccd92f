// One delivery: its attempts, its files and their errors, live.

import { nameOf } from "./catalog.js";
import { badge, button, bytes, fill, h, link, problem, when, working } from "./dom.js";
import { gone, unless404 } from "./gone.js";
import { repeat } from "./poll.js";
import { isUnfinished, panel, statusBadge, word } from "./progress.js";
import { row, table } from "./table.js";

const COLUMNS = [["Object", "name"], ["Attempt", "number"], "Outcome", ["Size", "number"], ["Took", "number"], "When"];

export async function page(context) {
  const { api, parameters, signal, setTitle } = context;
  const found = (path) => unless404(() => api.get(path, null, signal), () => null);
  return unless404(async () => {
    const { delivery } = await api.get(`/deliveries/${encodeURIComponent(parameters.id)}`, null, signal);
    const [collection, destination] = await Promise.all([
      found(`/collections/${delivery.collection_id}`), found(`/destinations/${delivery.destination_id}`),
    ]);
    const shown = new Shown(context, delivery, collection?.collection, destination?.destination);
    setTitle(shown.title());
    return shown.element;
  }, () => gone("delivery", "It was removed with its result set.", "All deliveries", "#/deliveries"));
}

class Shown {
  constructor(context, delivery, collection, destination) {
    Object.assign(this, { context, delivery, collection, destination });
    this.state = h("span");
    this.trouble = h("div");
    this.attempts = h("div");
    this.attention = h("div");
    this.panel = panel(delivery, (now) => this.about(now));
    this.again = button("", () => this.resend());
    this.element = h("div", null, link("All deliveries", "#/deliveries", { class: "back" }),
      h("div", { class: "head" }, h("div", { class: "row" }, h("h1", null, this.title()), this.state), this.again),
      this.trouble, h("div", { class: "card" }, this.panel.element), this.attention,
      h("h2", null, "Uploads"), this.attempts);
    this.show(delivery);
    this.watch();
  }

  title() {
    return `Delivery to ${this.destination?.name ?? `${this.delivery.destination_id} (deleted)`}`;
  }

  show(delivery) {
    if (delivery.status !== this.delivery.status) this.context.announce(word(delivery.status));
    const seen = JSON.stringify([delivery, this.destination]);
    if (seen === this.seen) return; // what has the focus keeps it
    Object.assign(this, { delivery, seen });
    fill(this.state, statusBadge(delivery.status));
    this.panel.update(delivery);
    fill(this.attention, this.mend());
    fill(this.attempts, uploads(delivery.uploads));
    this.again.hidden = !this.destination?.enabled || !this.collection || ["pending", "uploading"].includes(delivery.status);
    this.again.textContent = delivery.status === "retrying" ? "Try now" : "Send again";
  }

  about(delivery) {
    const { collection, destination } = this;
    const from = `${collection?.name ?? delivery.collection_id}, result set ${delivery.result_set_id}`;
    const to = () => [link(destination.name, `#/destinations/${destination.id}`), destination.enabled ? null : [" ", badge("Disabled")]];
    return [
      ["From", collection ? link(from, `#/collections/${collection.id}/results/${delivery.result_set_id}`) : from],
      ["To", destination ? to() : nameOf(new Map(), delivery.destination_id)],
      ["Planned", when(delivery.created_at)], ["Ended", when(delivery.ended_at, "not yet")],
    ];
  }

  // What its destination needs, where that is known.
  mend() {
    const attention = this.destination?.deliveries.attention;
    if (!attention || this.delivery.status === "success") return null;
    const isTold = attention.code === this.delivery.code;
    const why = isTold ? "." : `: ${attention.message} ${attention.hint}`;
    return h("div", { class: "note" }, h("p", null, `${this.destination.name} needs attention${why} `,
      link("Open the destination", `#/destinations/${this.destination.id}`)));
  }

  async load() {
    const { api, signal } = this.context;
    const { delivery } = await api.get(`/deliveries/${this.delivery.id}`, null, signal);
    if (delivery.status !== this.delivery.status && this.destination) {
      const known = await unless404(() => api.get(`/destinations/${delivery.destination_id}`, null, signal), () => null);
      this.destination = known?.destination;
    }
    this.show(delivery);
  }

  watch() {
    const failed = (error) => fill(this.trouble, error && problem(error));
    repeat(() => this.load(), { signal: this.context.signal, seconds: () => (isUnfinished(this.delivery.status) ? 1 : 4), failed });
  }

  resend() {
    const { api, announce, signal } = this.context;
    const { collection_id: collection, result_set_id: number, destination_id: destination } = this.delivery;
    return working(this.again, async () => {
      try {
        await api.send("POST", `/collections/${collection}/results/${number}/resend`, { destination_ids: [destination] }, signal);
        announce("Sending again");
        await this.load();
      } catch (error) {
        if (!signal.aborted) fill(this.trouble, problem(error));
      }
    });
  }
}

function uploads(all) {
  if (!all.length) return h("p", { class: "muted" }, "No file was sent yet.");
  return table("Uploads of single files, newest first", COLUMNS, [...all].reverse().map(upload));
}

function upload(one) {
  const theirs = (name, text) => (text ? h("div", { class: "hint" }, `${name} `, h("code", null, text)) : null);
  const outcome = one.ok ? badge("Arrived", "good")
    : [badge("Failed", "bad"), " ", h("code", null, one.code), theirs("Storage's code", one.provider_code), theirs("Request id", one.provider_request_id)];
  return row(COLUMNS, one.key, String(one.attempt), outcome, bytes(one.bytes), `${one.ms} ms`, when(one.at));
}
