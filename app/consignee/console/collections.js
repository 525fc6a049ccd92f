// All collections of the account.

import { destinations, nameOf } from "./catalog.js";
import { badge, empty, h, link, when } from "./dom.js";
import { pager } from "./pager.js";
import { row, table } from "./table.js";

const COLUMNS = ["Name", "Destinations", ["Result sets", "number"], "Webhook", "Created"];
const PAGE_SIZE = 20;
const SHOWN = 3;

export async function page({ api, query, signal, setTitle }) {
  setTitle("Collections");
  const current = Number(query.get("page")) || 1;
  const [answer, known, account] = await Promise.all([
    api.get("/collections", { page: current, page_size: PAGE_SIZE }, signal), destinations(api, signal), api.get("/account", null, signal),
  ]);
  const { collections_used: used, collections_limit: limit } = account.account_info;
  return h("div", null,
    h("div", { class: "head" }, h("h1", null, "Collections"), link("New collection", "#/collections/new", { class: "button primary" })),
    answer.total_count ? table("Collections, oldest first", COLUMNS, answer.collections.map((one) => shown(one, known))) : nothing(),
    pager("#/collections", current, answer.total_pages),
    answer.total_count ? h("p", { class: "hint" }, `${used} of ${limit} collections are used.`) : null);
}

function nothing() {
  return empty("No collections yet", "A collection says to which destinations its files go. Make one, then upload files to it.",
    link("New collection", "#/collections/new", { class: "button primary" }));
}

function shown(collection, known) {
  return row(COLUMNS, link(collection.name, `#/collections/${collection.id}`),
    goesTo(collection.destination_ids, known), String(collection.results_count),
    collection.notification_webhook ? "Yes" : h("span", { class: "muted" }, "No"), when(collection.created_at));
}

function goesTo(ids, known) {
  if (!ids.length) return badge("No destination", "warn");
  const names = ids.slice(0, SHOWN).map((id) => nameOf(known, id)).join(", ");
  return ids.length > SHOWN ? `${names} and ${ids.length - SHOWN} more` : names;
}
