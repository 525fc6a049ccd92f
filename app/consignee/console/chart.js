// A bar chart over time, as SVG, with its numbers as a table.

import { fill, h, s } from "./dom.js";
import { labelled, linear } from "./scales.js";
import { row, table } from "./table.js";

const HEIGHT = 190;
const MARGIN = { top: 8, right: 4, bottom: 24, left: 56 };
let count = 0;

// `series` are [key, label, kind] in the order in which they are stacked; `sums` one object for each bucket; `known` is the time
// from which on all is there. The chart is drawn anew when its width changes.
export function timeChart({ title, series, bounds, sums, unit, known, ticks, format, signal }) {
  const shown = { title, series, bounds, sums, known, format, id: `chart-${(count += 1)}`, labels: labels(bounds, unit) };
  shown.stacks = sums.map((sum) => series.reduce((height, [key]) => height + sum[key], 0));
  shown.ticks = ticks(Math.max(...shown.stacks));
  const plot = h("div", { class: "plot" });
  const head = h("figcaption", { class: "head" }, h("h2", null, title), legend(series));
  const figure = (...content) => h("figure", { class: "card chart" }, head, content);
  if (!Math.max(...shown.stacks)) return figure(h("p", { class: "muted" }, "None in this time."));
  let width = 0;
  const observer = new ResizeObserver(([{ contentRect }]) => {
    const seen = Math.round(contentRect.width);
    if (!seen || seen === width) return;
    width = seen;
    fill(plot, drawn(shown, width));
  });
  observer.observe(plot);
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  return figure(plot, h("details", null, h("summary", null, "Show as a table"), numbers(shown)));
}

// How times are told: in full, and short for the axis.
function labels(bounds, unit) {
  const day = { day: "numeric", month: "short" };
  const time = { hour: "2-digit", minute: "2-digit" };
  const full = new Intl.DateTimeFormat(undefined, unit === "day" ? { weekday: "short", ...day } : { ...day, ...time });
  const short = new Intl.DateTimeFormat(undefined, unit === "day" ? day : time);
  return bounds.slice(0, -1).map((start) => ({ full: full.format(start), short: short.format(start) }));
}

function legend(series) {
  if (series.length < 2) return null;
  const sign = (kind) => s("svg", { width: 12, height: 12, "aria-hidden": "true" }, s("rect", { x: 1, y: 1, width: 10, height: 10, class: `bar ${kind}` }));
  return h("ul", { class: "legend" }, series.map(([, label, kind]) => h("li", null, sign(kind), label)));
}

function drawn(shown, width) {
  const x = linear(shown.sums.length, MARGIN.left, width - MARGIN.right);
  const y = linear(shown.ticks.at(-1), HEIGHT - MARGIN.bottom, MARGIN.top);
  const [title, desc] = [`${shown.id}-title`, `${shown.id}-desc`];
  return s("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": title, "aria-describedby": desc },
    s("title", { id: title }, shown.title), s("desc", { id: desc }, inWords(shown)),
    axis(shown, width, y), unknown(shown, x), shown.sums.map((sum, at) => column(shown, sum, at, x, y)), times(shown, width, x));
}

export function inWords({ stacks, labels: names, format }) {
  const most = Math.max(...stacks);
  const sum = stacks.reduce((one, other) => one + other, 0);
  if (!sum) return `Nothing from ${names[0].full} to ${names.at(-1).full}.`;
  const highest = names[stacks.indexOf(most)].full;
  return `From ${names[0].full} to ${names.at(-1).full}: ${format(sum)} in all; the most at ${highest}, ${format(most)}.`;
}

function axis({ ticks, format }, width, y) {
  return ticks.map((tick) => [
    s("line", { class: tick ? "grid" : "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }),
    s("text", { class: "tick", x: MARGIN.left - 8, y: y(tick) + 4, "text-anchor": "end" }, format(tick)),
  ]);
}

// What was not loaded is not zero.
function unknown({ bounds, known }, x) {
  const hidden = bounds.slice(0, -1).filter((start) => start < known).length;
  if (!hidden) return null;
  const wide = x(hidden) - x(0);
  return s("g", null, s("rect", { class: "unknown", x: x(0), y: MARGIN.top, width: wide, height: HEIGHT - MARGIN.top - MARGIN.bottom }),
    wide > 80 ? s("text", { class: "tick", x: x(0) + wide / 2, y: HEIGHT / 2 - 8, "text-anchor": "middle" }, "not loaded") : null);
}

function column({ series, labels: names, format, bounds, known }, sum, at, x, y) {
  const gap = Math.min(6, (x(1) - x(0)) * 0.2);
  let below = 0;
  const bars = series.map(([key, , kind]) => {
    if (!sum[key]) return null;
    const [bottom, top] = [y(below), y((below += sum[key]))];
    return s("rect", { class: `bar ${kind}`, x: x(at) + gap / 2, y: top, width: x(1) - x(0) - gap, height: Math.max(1, bottom - top) });
  });
  const told = [`${names[at].full}${bounds[at] < known ? " (in part)" : ""}`, ...series.map(([key, label]) => `${label}: ${format(sum[key])}`)];
  const hit = s("rect", { class: "hit", x: x(at), y: MARGIN.top, width: x(1) - x(0), height: HEIGHT - MARGIN.top - MARGIN.bottom });
  return s("g", { class: "column" }, s("title", null, told.join("\n")), hit, bars);
}

function times({ labels: names }, width, x) {
  const half = (x(1) - x(0)) / 2;
  return labelled(names.length, width - MARGIN.left - MARGIN.right, 64).map((at) =>
    s("text", { class: "tick", x: Math.min(x(at) + half, width - 22), y: HEIGHT - 6, "text-anchor": "middle" }, names[at].short));
}

function numbers({ title, series, sums, labels: names, format, bounds, known }) {
  const columns = ["From", ...series.map(([, label]) => [label, "number"])];
  const part = (at) => (bounds[at] < known ? " (not loaded, or in part)" : "");
  const shown = (sum, at) => row(columns, `${names[at].full}${part(at)}`, ...series.map(([key]) => format(sum[key])));
  return table(title, columns, sums.map(shown));
}
