// The list of destinations: found, sorted, tested, switched on and off.

import { announce, button, empty, fill, h, link, problem, working } from "./dom.js";
import { Row } from "./row.js";

const SIZE = 25;
const AT_ONCE = 4; // requests for last deliveries
const SORTS = [
  ["name", "Name", "name", "ascending"],
  ["type", "Type", "type", "ascending"],
  ["newest", "Newest first", "created_at", "descending"],
  ["oldest", "Oldest first", "created_at", "ascending"],
];
export async function page(context) {
  context.setTitle("Destinations");
  const { destination_types: types } = await context.api.get("/destination-types", null, context.signal);
  const screen = new List(context, Object.fromEntries(types.map((one) => [one.type, one.label])));
  await screen.load();
  return screen.element;
}

class List {
  constructor(context, labels) {
    Object.assign(this, { context, labels, rows: new Map(), loading: new AbortController() });
    const { query } = context;
    this.asked = { search: query.get("search") ?? "", type: query.get("type") ?? "", enabled: query.get("enabled") ?? "", sort: query.get("sort") ?? "name", page: Number(query.get("page")) || 1 };
    this.usage = h("p", { class: "hint" });
    this.testAll = button("Test all", () => this.verify());
    this.create = link("New destination", "#/destinations/new", { class: "button primary" });
    this.progress = h("div", { class: "note", hidden: true });
    this.body = h("div");
    this.tools = this.toolbar();
    this.element = h("div", null,
      h("div", { class: "head" }, h("div", null, h("h1", null, "Destinations"), this.usage),
        h("div", { class: "row" }, this.testAll, this.create)),
      this.progress, this.tools, this.body);
  }

  toolbar() {
    const choose = (label, name, options) => h("label", null, h("span", null, label),
      h("select", { onchange: (event) => this.ask({ [name]: event.target.value }) },
        options.map(([value, text]) => h("option", { value, selected: this.asked[name] === value }, text))));
    let soon = 0;
    const typed = (event) => {
      clearTimeout(soon);
      soon = setTimeout(() => this.ask({ search: event.target.value.trim() }), 250);
    };
    this.search = h("input", { type: "search", value: this.asked.search, oninput: typed, placeholder: "Part of a name" });
    return h("div", { class: "tools", role: "search", "aria-label": "Destinations" },
      h("label", { class: "grow" }, h("span", null, "Search"), this.search),
      choose("Type", "type", [["", "All types"], ...Object.entries(this.labels)]),
      choose("Show", "enabled", [["", "All"], ["true", "Enabled"], ["false", "Disabled"]]),
      choose("Sort by", "sort", SORTS));
  }

  ask(changes) {
    Object.assign(this.asked, { page: 1 }, changes);
    const { page, sort, ...rest } = this.asked;
    this.context.remember({ ...rest, sort: sort === "name" ? "" : sort, page: page > 1 ? String(page) : "" });
    this.load(true).catch((error) => error.name !== "AbortError" && fill(this.body, problem(error, () => this.ask({}))));
  }

  async load(tell = false) {
    this.loading.abort();
    this.loading = new AbortController();
    const signal = AbortSignal.any ? AbortSignal.any([this.loading.signal, this.context.signal]) : this.loading.signal;
    const { search, type, enabled, sort, page } = this.asked;
    const [, , sort_by, sort_direction] = SORTS.find(([value]) => value === sort) ?? SORTS[0];
    const asked = { search_term: search, type, enabled, sort_by, sort_direction, page, page_size: SIZE };
    const answer = await this.context.api.get("/destinations", asked, signal);
    this.draw(answer);
    if (tell) announce(counted(answer.pagination.total_count));
    this.lastDeliveries(signal);
  }

  draw({ destinations, usage, pagination }) {
    const isFiltered = Boolean(this.asked.search || this.asked.type || this.asked.enabled);
    this.usage.textContent = `${usage.used} of ${usage.limit} used`;
    this.testAll.hidden = this.create.hidden = this.tools.hidden = usage.used === 0;
    this.rows = new Map(destinations.map((one) => [one.id, new Row(this, one)]));
    if (!usage.used) fill(this.body, first());
    else if (!destinations.length && !isFiltered && pagination.total_count) this.ask({ page: pagination.total_pages });
    else if (!destinations.length) fill(this.body, empty("Nothing matches", "No destination has this name, type and state.", button("Show all", () => this.clear())));
    else fill(this.body, this.table(), this.pages(pagination));
  }

  clear() {
    this.search.value = "";
    for (const select of this.tools.querySelectorAll("select")) select.selectedIndex = 0;
    this.ask({ search: "", type: "", enabled: "", sort: "name" });
    this.search.focus();
  }

  table() {
    const heads = ["Name", "State", "Last test", "Last delivery"].map((text) => h("th", { scope: "col" }, text));
    return h("div", { class: "table" }, h("table", null,
      h("caption", { class: "unseen" }, "Destinations"),
      h("thead", null, h("tr", null, heads, h("th", { scope: "col" }, h("span", { class: "unseen" }, "Actions")))),
      h("tbody", null, [...this.rows.values()].map((row) => row.elements))));
  }

  pages({ current_page: at, total_pages: of, total_count: count }) {
    if (of < 2) return h("p", { class: "hint" }, counted(count));
    const to = (text, page) => (page < 1 || page > of ? null : button(text, () => { this.ask({ page }); scrollTo(0, 0); }));
    return h("nav", { class: "row pages", "aria-label": "Pages" }, to("Previous", at - 1), h("span", { class: "muted" }, `Page ${at} of ${of}, ${counted(count)}`), to("Next", at + 1));
  }

  async lastDeliveries(signal) {
    const left = [...this.rows.values()];
    const next = async () => {
      for (let row = left.shift(); row && !signal.aborted; row = left.shift()) await row.lastDelivery(signal).catch(() => row.unknown());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  }

  verify() {
    return working(this.testAll, async () => {
      const { api, signal } = this.context;
      const failed = [];
      let done = 0;
      const total = (await api.get("/account", null, signal)).account_info.destinations_used;
      const bar = h("progress", { max: total, value: 0, "aria-label": "Destinations tested" });
      const text = h("p");
      const told = () => { text.textContent = `Testing all: ${done} of ${total} done${failed.length ? `, ${failed.length} failed` : ""}.`; };
      this.progress.hidden = false;
      fill(this.progress, text, bar);
      told();
      announce(text.textContent);
      try {
        await api.lines("POST", "/destinations/verify", {}, (line) => {
          done += 1;
          if (!line.ok) failed.push(line.id);
          bar.value = done;
          told();
          this.rows.get(line.id)?.heard(line);
        }, signal);
        await this.verified(done, failed);
      } catch (error) {
        if (!signal.aborted) fill(this.progress, problem(error));
      }
    });
  }

  async verified(done, failed) {
    const text = failed.length ? `${failed.length} of ${counted(done)} did not work:` : done === 1 ? "The destination works." : `All ${counted(done)} work.`;
    const names = await Promise.all(failed.slice(0, 20).map(async (id) => {
      const name = this.rows.get(id)?.one.name ?? (await this.context.api.get(`/destinations/${id}`)).destination.name;
      return h("li", null, link(name, `#/destinations/${id}`));
    }));
    fill(this.progress, h("p", null, text), names.length ? h("ul", null, names) : null,
      failed.length > names.length ? h("p", null, `And ${failed.length - names.length} more.`) : null,
      h("p", null, button("Close", () => { this.progress.hidden = true; this.testAll.focus(); }, { class: "small" })));
    announce(text);
    for (const row of this.rows.values()) row.refresh().catch(() => {});
  }
}

function counted(number) {
  return number === 1 ? "1 destination" : `${number} destinations`;
}

function first() {
  return empty("No destinations yet",
    "A destination is a bucket of your own. It is tested before it is saved: a small file is written to it and deleted. From then on, result sets are delivered there.",
    link("New destination", "#/destinations/new", { class: "button primary" }));
}
