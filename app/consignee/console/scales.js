// What charts are computed with: periods, sums, axes. Nothing here touches the page.

const HOUR = 3600 * 1000;

export const PERIODS = {
  day: { label: "24 hours", unit: "hour", count: 24 },
  week: { label: "7 days", unit: "day", count: 7 },
  month: { label: "30 days", unit: "day", count: 30 },
};

// From the most to the least wanted: the order in which they are stacked.
export const GROUPS = ["delivered", "moving", "failed", "skipped"];
const GROUP_OF = { success: "delivered", pending: "moving", uploading: "moving", retrying: "moving", failed: "failed", skipped: "skipped" };

// The starts of so many hours or days up to now, in local time, and the end of the last one.
export function edges(now, { unit, count }) {
  const steps = [...Array(count + 1).keys()].map((at) => at - count + 1);
  if (unit === "day") return steps.map((step) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + step));
  // Hours are counted, not named: in the night when clocks are set back one of them comes twice.
  const hour = new Date(now).setMinutes(0, 0, 0);
  return steps.map((step) => new Date(hour + step * HOUR));
}

// In which of the buckets between those edges a time is, or -1.
export function bucketOf(bounds, time) {
  if (!(time >= bounds[0]) || time >= bounds.at(-1)) return -1;
  let [low, high] = [0, bounds.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (bounds[middle] <= time) low = middle;
    else high = middle;
  }
  return low;
}

const nothing = () => ({ deliveries: 0, delivered: 0, moving: 0, failed: 0, skipped: 0, retrying: 0, bytes: 0 });

export function add(sum, delivery) {
  sum.deliveries += 1;
  sum.bytes += delivery.bytes_done;
  if (GROUP_OF[delivery.status]) sum[GROUP_OF[delivery.status]] += 1;
  if (delivery.status === "retrying") sum.retrying += 1;
  return sum;
}

export const total = (deliveries) => deliveries.reduce(add, nothing());

// One sum for each bucket; each delivery counts once, when it was planned, as it is now.
export function overTime(deliveries, bounds) {
  const sums = bounds.slice(1).map(nothing);
  for (const one of deliveries) {
    const at = bucketOf(bounds, new Date(one.created_at));
    if (at >= 0) add(sums[at], one);
  }
  return sums;
}

// [[what `keyOf` says, its sum], …], those with the most deliveries first; null is left out.
export function grouped(deliveries, keyOf) {
  const sums = new Map();
  for (const one of deliveries) {
    const key = keyOf(one);
    if (key !== null) sums.set(key, add(sums.get(key) ?? nothing(), one));
  }
  return [...sums].sort(([, one], [, other]) => other.deliveries - one.deliveries);
}

// Where lines are drawn on an axis from 0 to at least `most`: whole numbers, 1, 2 or 5 times a power of ten apart.
export function countTicks(most, lines = 4) {
  const rough = Math.max(1, most / lines);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.ceil([1, 2, 5, 10].find((one) => one * power >= rough - 1e-9) * power);
  return upTo(most, step);
}

// The same for bytes: powers of two apart, so that each is short in KB, MB or GB.
export function byteTicks(most, lines = 4) {
  return upTo(most, 2 ** Math.ceil(Math.log2(Math.max(1, most / lines))));
}

function upTo(most, step) {
  const count = Math.max(1, Math.ceil(most / step));
  return [...Array(count + 1).keys()].map((one) => one * step);
}

// A number from 0 to `most` as a place between two others.
export const linear = (most, from, to) => (value) => from + (to - from) * (most ? value / most : 0);

// Which labels of so many have room, if each needs so much of the width: every so manieth, the last among them.
export function labelled(count, width, room) {
  const every = Math.max(1, Math.ceil((count * room) / Math.max(width, 1)));
  return [...Array(count).keys()].filter((at) => (count - 1 - at) % every === 0);
}

// From where on all deliveries are there: of those loaded, newest first, unless the list was read to its end or past `since`.
export function reach(deliveries, { isAll, since }) {
  const oldest = deliveries.length ? new Date(deliveries.at(-1).created_at) : null;
  return isAll || !oldest || oldest < since ? since : oldest;
}
