// Charts of deliveries, bytes and failures: made of what GET /deliveries tells, which is read newest first up to a limit.

import { timeChart } from "./chart.js";
import { destinations, nameOf } from "./catalog.js";
import { choice, filters } from "./choice.js";
import { button, bytes, empty, fill, guarded, h, link, s, when, working } from "./dom.js";
import { PERIODS, byteTicks, countTicks, edges, grouped, overTime, reach, total } from "./scales.js";
import { row, table } from "./table.js";

const PAGE = 100;
const PAGES = 20; // at a time

const OUTCOMES = [["delivered", "Delivered", "good"], ["moving", "Under way", "moving"], ["failed", "Failed", "bad"], ["skipped", "Skipped", "none"]];
const FAILURES = [["failed", "Failed", "bad"], ["retrying", "Will be retried", "moving"]];
const BYTES = [["bytes", "Bytes", "good"]];
const number = new Intl.NumberFormat();
const format = (value) => number.format(value);

export async function page(context) {
  context.setTitle("Charts");
  const charts = new Charts(context, await destinations(context.api, context.signal));
  await charts.load();
  return charts.element;
}

class Charts {
  constructor(context, known) {
    const period = context.query.get("period");
    Object.assign(this, { context, known, asked: 0, destination: context.query.get("destination") ?? "", period: PERIODS[period] ? period : "week" });
    this.place = h("div");
    this.trouble = h("div");
    const refresh = button("Refresh", () => working(refresh, () => this.guarded(() => this.load())));
    this.element = h("div", null, h("div", { class: "head" }, h("h1", null, "Charts"), refresh),
      this.controls(), this.trouble, this.place);
  }

  controls() {
    const select = (label, name, options) => {
      const chosen = (value) => {
        this[name] = value;
        this.context.remember({ period: this.period, destination: this.destination });
        this.guarded(() => this.load());
      };
      return choice(label, options, this[name], chosen);
    };
    return filters(select("Period", "period", Object.entries(PERIODS).map(([name, { label }]) => [name, label])),
      select("Destination", "destination", [["", "All"], ...[...this.known.values()].map((one) => [one.id, one.name])]));
  }

  guarded(work) {
    return guarded(work, this.trouble, this.context.signal);
  }

  async load() {
    const asked = (this.asked += 1);
    const bounds = edges(new Date(), PERIODS[this.period]);
    const loaded = { bounds, deliveries: [], cursor: undefined };
    await this.read(loaded, asked);
  }

  // Read on until the period is over, or for so many pages; then show what there is.
  async read(loaded, asked = (this.asked += 1)) {
    const { api, announce, signal } = this.context;
    const [since] = loaded.bounds;
    for (let page = 0; page < PAGES && loaded.cursor !== null; page += 1) {
      const query = { destination_id: this.destination, page_size: PAGE, cursor: loaded.cursor };
      const answer = await api.get("/deliveries", query, signal);
      if (asked !== this.asked) return;
      loaded.deliveries.push(...answer.deliveries);
      loaded.cursor = answer.next_cursor;
      if (answer.deliveries.length && new Date(answer.deliveries.at(-1).created_at) < since) break;
    }
    this.show(loaded);
    announce("The charts are drawn");
  }

  show(loaded) {
    const { bounds } = loaded;
    const known = reach(loaded.deliveries, { isAll: loaded.cursor === null, since: bounds[0] });
    const deliveries = loaded.deliveries.filter((one) => new Date(one.created_at) >= bounds[0]);
    if (!deliveries.length) return fill(this.place, nothing());
    const { unit } = PERIODS[this.period];
    const over = { bounds, unit, known, sums: overTime(deliveries, bounds), signal: this.context.signal };
    return fill(this.place, this.told(loaded, deliveries, known),
      timeChart({ ...over, title: "Deliveries", series: OUTCOMES, ticks: countTicks, format }),
      timeChart({ ...over, title: "Bytes sent", series: BYTES, ticks: byteTicks, format: bytes }),
      timeChart({ ...over, title: "Failures", series: FAILURES, ticks: countTicks, format }),
      this.byDestination(deliveries), byCode(deliveries));
  }

  // What the charts are made of, and what is not in them.
  told(loaded, deliveries, known) {
    const sum = total(deliveries);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const isPart = known > loaded.bounds[0];
    const more = button(`Load ${format(PAGE * PAGES)} more`, () => working(more, () => this.guarded(() => this.read(loaded))));
    const outcomes = OUTCOMES.filter(([key]) => sum[key]).map(([key, label]) => `${format(sum[key])} ${label.toLowerCase()}`).join(", ");
    return h("div", null,
      h("p", { class: "lead" }, `${format(sum.deliveries)} deliveries: ${outcomes}. ${bytes(sum.bytes)} sent.`),
      isPart ? h("div", { class: "note" },
        h("p", null, `Only the newest ${format(loaded.deliveries.length)} deliveries were loaded. They reach back to `,
          when(known.toISOString()), "; what was before is not drawn."),
        h("p", null, more)) : null,
      h("p", { class: "hint" }, `Each delivery counts once, at the time when it was planned (${zone}), as it stands now. `,
        "Those of result sets that were removed are not counted."));
  }

  byDestination(deliveries) {
    const sums = grouped(deliveries, (one) => one.destination_id);
    const most = (key) => Math.max(...sums.map(([, sum]) => sum[key]));
    const columns = [["deliveries", "Deliveries", format, "good"], ["bytes", "Bytes sent", bytes, "good"], ["failed", "Failed", format, "bad"]];
    const names = ["Destination", ...columns.map(([, label]) => [label, "amount"])];
    const name = (id) => (this.known.has(id) ? link(nameOf(this.known, id), `#/destinations/${id}`) : nameOf(this.known, id));
    const amounts = (sum) => columns.map(([key, , text, kind]) => [h("span", null, text(sum[key])), strip(sum[key], most(key), kind)]);
    const rows = sums.map(([id, sum]) => row(names, name(id), ...amounts(sum)));
    return [h("h2", null, "By destination"), table("Deliveries, bytes and failures by destination", names, rows)];
  }
}

function nothing() {
  return empty("No deliveries in this time", "Choose a longer period, or upload files to a collection.", link("Collections", "#/collections", { class: "button" }));
}

// A bar beside a number: the longest one is the most of its column.
function strip(value, most, kind) {
  const bar = value ? s("rect", { class: `bar ${kind}`, width: Math.max(1, (100 * value) / most), height: 8 }) : null;
  return s("svg", { class: "strip", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "track", width: 100, height: 8 }), bar);
}

function byCode(deliveries) {
  const sums = grouped(deliveries, (one) => (["failed", "retrying"].includes(one.status) ? (one.code ?? "unknown") : null));
  if (!sums.length) return null;
  const columns = ["Code", ["Failed", "number"], ["Will be retried", "number"]];
  return [h("h2", null, "Why they failed"),
    table("Failures by code", columns, sums.map(([code, sum]) => row(columns, h("code", null, code), format(sum.failed), format(sum.retrying)))),
    h("p", { class: "row below" }, link("Failed deliveries", "#/deliveries?status=failed", { class: "button small" }))];
}
