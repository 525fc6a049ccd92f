// All deliveries, newest first; it looks again by itself.

import { collections, destinations, nameOf } from "./catalog.js";
import { choice, filters } from "./choice.js";
import { button, empty, fill, guarded, h, link, problem, when } from "./dom.js";
import { repeat } from "./poll.js";
import { STATUSES, filesDone, isUnfinished, statusBadge } from "./progress.js";
import { row, table } from "./table.js";

const STEP = 25;
const MOST_WATCHED = 100;
const COLUMNS = ["Result set", "Destination", "Status", "Sent", ["Attempts", "number"], "Planned"];
const NAMES = ["collection_id", "destination_id", "status"];

export async function page(context) {
  const { api, signal, setTitle } = context;
  setTitle("Deliveries");
  const [inCollections, toDestinations] = await Promise.all([collections(api, signal), destinations(api, signal)]);
  const list = new List(context, inCollections, toDestinations);
  await list.load();
  list.watch();
  return list.element;
}

class List {
  constructor(context, inCollections, toDestinations) {
    Object.assign(this, { context, inCollections, toDestinations, rows: new Map(), cursor: null, asked: 0 });
    this.wanted = Object.fromEntries(NAMES.map((name) => [name, context.query.get(name) ?? ""]));
    this.trouble = h("div");
    this.body = h("tbody");
    this.place = h("div");
    this.more = button("Show more", () => this.guarded(() => this.grow()));
    this.element = h("div", null, h("div", { class: "head" }, h("h1", null, "Deliveries")),
      this.filters(), this.trouble, this.place, h("p", { class: "row below" }, this.more));
  }

  filters() {
    const named = (known) => [...known.values()].map((one) => [one.id, one.name]);
    const select = (label, name, options) => {
      const all = [["", "All"], ...options];
      if (this.wanted[name] && !options.some(([value]) => value === this.wanted[name])) all.push([this.wanted[name], this.wanted[name]]);
      const chosen = (value) => { this.wanted[name] = value; this.context.remember(this.wanted); this.guarded(() => this.load(true)); };
      return choice(label, all, this.wanted[name], chosen);
    };
    return filters(select("Collection", NAMES[0], named(this.inCollections)), select("Destination", NAMES[1], named(this.toDestinations)),
      select("Status", NAMES[2], Object.entries(STATUSES).map(([status, [text]]) => [status, text])));
  }

  guarded(work) {
    return guarded(work, this.trouble, this.context.signal);
  }

  ask(page_size, cursor) {
    return this.context.api.get("/deliveries", { ...this.wanted, page_size, cursor }, this.context.signal);
  }

  // Whatever is asked for last is shown, also if it is answered first.
  async load(aloud = false) {
    const asked = (this.asked += 1);
    const answer = await this.ask(STEP);
    if (asked !== this.asked) return;
    this.cursor = answer.next_cursor;
    this.show(answer.deliveries);
    const count = answer.deliveries.length;
    if (aloud) this.context.announce(`${count} ${count === 1 ? "delivery" : "deliveries"}${this.cursor ? ", and more" : ""}`);
  }

  async grow() {
    const asked = (this.asked += 1);
    const answer = await this.ask(STEP, this.cursor);
    if (asked !== this.asked) return;
    this.cursor = answer.next_cursor;
    this.show([...this.shown(), ...answer.deliveries]);
    this.context.announce(`${this.rows.size} deliveries are shown`);
  }

  // The newest are looked at again; older ones that are shown stay as they are.
  async refresh() {
    const asked = (this.asked += 1);
    const { deliveries, next_cursor: cursor } = await this.ask(Math.min(Math.max(this.rows.size, STEP), MOST_WATCHED));
    if (asked !== this.asked) return;
    const newest = new Set(deliveries.map((one) => one.id));
    const oldest = deliveries.at(-1)?.created_at ?? "";
    const older = cursor ? this.shown().filter((one) => !newest.has(one.id) && one.created_at <= oldest) : [];
    if (!older.length) this.cursor = cursor;
    this.show([...deliveries, ...older]);
  }

  watch() {
    const seconds = () => (this.shown().some((one) => isUnfinished(one.status)) ? 2 : 5);
    repeat(() => this.refresh(), { signal: this.context.signal, seconds, failed: (error) => fill(this.trouble, error && problem(error)) });
  }

  shown() {
    return [...this.rows.values()].map((one) => one.delivery);
  }

  show(deliveries) {
    const rows = new Map(deliveries.map((one) => [one.id, this.rows.get(one.id) ?? new Row(one, this)]));
    for (const one of deliveries) rows.get(one.id).show(one);
    const elements = [...rows.values()].map((one) => one.element);
    // A row that stays in its place keeps the focus.
    const isSame = elements.length === this.body.childElementCount && elements.every((one, at) => one === this.body.children[at]);
    if (!isSame) this.body.replaceChildren(...elements);
    this.rows = rows;
    this.more.hidden = !this.cursor;
    if (!rows.size) fill(this.place, this.nothing());
    else if (!this.place.contains(this.body)) fill(this.place, table("Deliveries, newest first", COLUMNS, this.body));
  }

  nothing() {
    if (NAMES.some((name) => this.wanted[name])) return empty("No such deliveries", "None fits what was chosen above.");
    return empty("No deliveries yet", "Upload files to a collection, and their way to each destination is shown here.",
      link("Collections", "#/collections", { class: "button" }));
  }
}

class Row {
  constructor(delivery, { inCollections, toDestinations }) {
    this.seen = "";
    const title = `${nameOf(inCollections, delivery.collection_id)}, ${delivery.result_set_id}`;
    this.element = row(COLUMNS, link(title, `#/deliveries/${delivery.id}`), nameOf(toDestinations, delivery.destination_id), "", "", "", "");
  }

  show(delivery) {
    this.delivery = delivery;
    const [status, sent, attempts, planned] = [...this.element.children].slice(2);
    fill(planned, when(delivery.created_at));
    const seen = JSON.stringify(delivery);
    if (seen === this.seen) return;
    this.seen = seen;
    fill(status, statusBadge(delivery.status),
      delivery.code ? h("div", { class: "hint" }, h("code", null, delivery.code)) : null,
      delivery.next_attempt_at ? h("div", { class: "hint" }, "again ", when(delivery.next_attempt_at)) : null);
    fill(sent, filesDone(delivery));
    fill(attempts, String(delivery.attempts));
  }
}
