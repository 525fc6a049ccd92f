// All destinations and collections of the account, by id: lists of deliveries tell ids alone.

const MOST_PAGES = 20;

export async function destinations(api, signal) {
  const found = new Map();
  for (let page = 1; page <= MOST_PAGES; page += 1) {
    const answer = await api.get("/destinations", { page, page_size: 100, sort_by: "name" }, signal);
    for (const one of answer.destinations) found.set(one.id, one);
    if (answer.destinations.length < 100) break;
  }
  return found;
}

export async function collections(api, signal) {
  const found = new Map();
  for (let page = 1; page <= MOST_PAGES; page += 1) {
    const answer = await api.get("/collections", { page, page_size: 100 }, signal);
    for (const one of answer.collections) found.set(one.id, one);
    if (page >= answer.total_pages) break;
  }
  return found;
}

// What to call one of them that may be gone by now.
export function nameOf(known, id) {
  return known.get(id)?.name ?? `${id} (deleted)`;
}

export const deliveryId = (collection, number, destination) => `${collection}.${String(number).padStart(10, "0")}.${destination}`;
