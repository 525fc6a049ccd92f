// One collection: where it goes, its result sets, and the upload of a new one.

import { destinations, nameOf } from "./catalog.js";
import { form } from "./collection-form.js";
import { ask, badge, button, empty, fill, h, link, problem, when } from "./dom.js";
import { gone, unless404 } from "./gone.js";
import { pager } from "./pager.js";
import { repeat } from "./poll.js";
import { facts, isUnfinished, summary } from "./progress.js";
import { row, table } from "./table.js";
import { uploader } from "./upload.js";

const PAGE_SIZE = 10;
const RESERVED = ["_manifest.json"];
const COLUMNS = ["Result set", "Ended", ["Files", "number"], "Deliveries", "Kept until"];

export async function page(context) {
  const { api, parameters, query, signal, setTitle } = context;
  const known = await destinations(api, signal);
  if (!parameters.id) {
    setTitle("New collection");
    return form(context, null, known);
  }
  const path = `/collections/${encodeURIComponent(parameters.id)}`;
  return unless404(async () => {
    const { collection } = await api.get(path, null, signal);
    setTitle(collection.name);
    return query.get("edit") ? form(context, collection, known) : view(context, collection, known);
  }, () => gone("collection", "It was deleted, or it belongs to another account.", "All collections", "#/collections"));
}

async function view(context, collection, known) {
  const path = `/collections/${collection.id}`;
  const trouble = h("div");
  return h("div", null,
    link("All collections", "#/collections", { class: "back" }),
    h("div", { class: "head" }, h("h1", null, collection.name), h("div", { class: "row" },
      link("Edit", `#${path}?edit=1`, { class: "button" }),
      button("Delete", () => remove(context, collection, trouble), { class: "danger" }))),
    trouble, about(collection, known),
    uploader(context, {
      path: `${path}/results`,
      reserved: collection.manifest ? RESERVED : [],
      taken: (result) => context.go(`${path}/results/${result.id}`),
    }),
    h("h2", null, "Result sets"), await results(context, collection));
}

function about(collection, known) {
  const one = (id) => h("li", null, known.has(id) ? link(nameOf(known, id), `#/destinations/${id}`) : nameOf(known, id),
    known.get(id)?.enabled === false ? [" ", badge("Disabled")] : null);
  const ids = collection.destination_ids;
  return h("div", { class: "card" }, facts([
    ["Destinations", ids.length ? h("ul", { class: "plain" }, ids.map(one)) : badge("None: nothing is delivered", "warn")],
    ["Webhook", collection.notification_webhook ?? h("span", { class: "muted" }, "None")],
    ["Manifest", collection.manifest ? "Yes: _manifest.json ends each result set" : h("span", { class: "muted" }, "No")],
    ["Id", h("code", null, collection.id)],
  ]));
}

async function remove({ api, announce, go, signal }, collection, trouble) {
  const text = "Its result sets are removed from this service, and deliveries that are under way are cancelled. "
    + "What was delivered stays in the buckets.";
  if (!(await ask({ title: `Delete ${collection.name}?`, text, action: "Delete collection" }))) return;
  try {
    await api.send("DELETE", `/collections/${collection.id}`, undefined, signal);
    announce(`${collection.name} is deleted`);
    go("/collections");
  } catch (error) {
    if (!signal.aborted) fill(trouble, problem(error));
  }
}

// The list; it looks again while something is on its way.
async function results({ api, query, signal }, collection) {
  const path = `/collections/${collection.id}`;
  const current = Number(query.get("page")) || 1;
  const rows = h("tbody");
  const trouble = h("div");
  let answer = null;
  const load = async () => {
    answer = await api.get(`${path}/results`, { page: current, page_size: PAGE_SIZE }, signal);
    const focused = rows.querySelector(":focus")?.getAttribute("href");
    fill(rows, answer.results.map((one) => shown(collection, one)));
    if (focused) rows.querySelector(`a[href="${focused}"]`)?.focus();
  };
  await load();
  if (!answer.results_count && collection.results_count) return empty("Nothing is kept any more", "All result sets were removed when their time was over.");
  if (!answer.results_count) return empty("Nothing uploaded yet", "Upload files above, or send them with the API.");
  const failed = (error) => fill(trouble, error && problem(error));
  repeat(load, { signal, seconds: () => (answer.results.some(isMoving) ? 3 : 20), failed });
  const pages = Math.ceil(answer.results_count / PAGE_SIZE);
  return h("div", null, trouble, table("Result sets, newest first", COLUMNS, rows), pager(`#${path}`, current, pages));
}

function isMoving(result) {
  return Object.values(result.destination_status).some((one) => isUnfinished(one.status));
}

function shown(collection, result) {
  const statuses = Object.values(result.destination_status).map((one) => one.status);
  return row(COLUMNS, link(`Result set ${result.id}`, `#/collections/${collection.id}/results/${result.id}`), when(result.ended_at),
    String(result.download_links.pages.length), summary(statuses), when(result.expires_at));
}
