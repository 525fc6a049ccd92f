// Run by tests/web/test_console_functions.py, in the time zone of Berlin.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as scales from "../../../app/consignee/console/scales.js";

const DAYS = { unit: "day", count: 3 };
const HOURS = { unit: "hour", count: 4 };
const made = (created_at, status = "success", more = {}) => ({ created_at, status, bytes_done: 10, destination_id: "A", code: null, ...more });

test("days begin at midnight where the reader is, and the last one is today", () => {
  const bounds = scales.edges(new Date("2026-11-22T08:30:00Z"), DAYS).map((one) => one.toISOString());
  assert.deepEqual(bounds, ["2026-11-19T23:00:00.000Z", "2026-11-20T23:00:00.000Z", "2026-11-21T23:00:00.000Z", "2026-11-22T23:00:00.000Z"]);
});

test("a day on which clocks are set back is one bucket of 25 hours", () => {
  const bounds = scales.edges(new Date("2026-10-26T12:00:00Z"), DAYS);
  assert.deepEqual(bounds.slice(1).map((one, at) => (one - bounds[at]) / 3600000), [24, 25, 24]);
});

test("hours are 60 minutes each, also in the night when one comes twice", () => {
  const bounds = scales.edges(new Date("2026-10-25T02:20:00Z"), HOURS);
  assert.deepEqual(bounds.slice(1).map((one, at) => one - bounds[at]), [3600000, 3600000, 3600000, 3600000]);
  assert.equal(bounds.at(-1).toISOString(), "2026-10-25T03:00:00.000Z");
});

test("an edge belongs to the bucket that begins there, and what is outside to none", () => {
  const bounds = [0, 10, 20, 30].map((one) => new Date(one));
  const times = [-1, 0, 9, 10, 29, 30].map((one) => scales.bucketOf(bounds, new Date(one)));
  assert.deepEqual(times, [-1, 0, 0, 1, 2, -1]);
  assert.equal(scales.bucketOf(bounds, new Date("nonsense")), -1);
});

test("each delivery counts once, at the time when it was planned, as what it is now", () => {
  const bounds = scales.edges(new Date("2026-11-22T08:30:00Z"), DAYS);
  const sums = scales.overTime([
    made("2026-11-22T08:00:00Z"), made("2026-11-22T07:00:00Z", "failed"), made("2026-11-20T12:00:00Z", "retrying", { bytes_done: 5 }),
    made("2026-11-20T13:00:00Z", "skipped", { bytes_done: 0 }), made("2026-11-01T00:00:00Z"),
  ], bounds);
  assert.deepEqual(sums.map((one) => one.deliveries), [2, 0, 2]);
  assert.deepEqual(sums[0], { deliveries: 2, delivered: 0, moving: 1, failed: 0, skipped: 1, retrying: 1, bytes: 5 });
  assert.deepEqual(sums[2], { deliveries: 2, delivered: 1, moving: 0, failed: 1, skipped: 0, retrying: 0, bytes: 20 });
});

test("every status that the API knows is in one group, so the groups sum up to all", () => {
  const statuses = ["pending", "uploading", "retrying", "success", "failed", "skipped"];
  const sum = scales.total(statuses.map((status) => made("2026-11-22T08:00:00Z", status)));
  assert.equal(scales.GROUPS.reduce((all, group) => all + sum[group], 0), statuses.length);
  assert.equal(sum.deliveries, statuses.length);
});

test("sums by destination come with the busiest first, and what has no key is left out", () => {
  const all = [made("", "success"), made("", "failed", { destination_id: "B" }), made("", "failed", { destination_id: "B", code: "timeout" })];
  assert.deepEqual(scales.grouped(all, (one) => one.destination_id).map(([id, sum]) => [id, sum.deliveries]), [["B", 2], ["A", 1]]);
  assert.deepEqual(scales.grouped(all, (one) => one.code).map(([code]) => code), ["timeout"]);
});

for (const [most, ticks] of [[0, [0, 1]], [1, [0, 1]], [3, [0, 1, 2, 3]], [7, [0, 2, 4, 6, 8]], [12, [0, 5, 10, 15]], [100, [0, 50, 100]], [1000, [0, 500, 1000]], [4001, [0, 2000, 4000, 6000]]]) {
  test(`an axis of counts up to ${most} has whole, round steps`, () => assert.deepEqual(scales.countTicks(most), ticks));
}

for (const [most, ticks] of [[0, [0, 1]], [1000, [0, 256, 512, 768, 1024]], [1025, [0, 512, 1024, 1536]], [3 * 2 ** 30, [0, 2 ** 30, 2 * 2 ** 30, 3 * 2 ** 30]]]) {
  test(`an axis of bytes up to ${most} has steps that are powers of two`, () => assert.deepEqual(scales.byteTicks(most), ticks));
}

test("an axis begins at 0, reaches what it shows, and has at most six lines", () => {
  for (let most = 0; most < 5000; most += 7) {
    for (const ticks of [scales.countTicks(most), scales.byteTicks(most * 977)]) {
      assert.equal(ticks[0], 0);
      assert.ok(ticks.length <= 6 && ticks.length >= 2, `${most}: ${ticks}`);
    }
    assert.ok(scales.countTicks(most).at(-1) >= most);
    assert.ok(scales.byteTicks(most * 977).at(-1) >= most * 977);
  }
});

test("a bar is as long as its number: zero is at the line, the highest at the top", () => {
  const y = scales.linear(8, 100, 20);
  assert.deepEqual([0, 4, 8].map(y), [100, 60, 20]);
  assert.equal(scales.linear(0, 100, 20)(0), 100);
});

test("labels never stand closer than the room they need, and the last one is always there", () => {
  assert.deepEqual(scales.labelled(7, 700, 60), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(scales.labelled(30, 300, 60), [5, 11, 17, 23, 29]);
  assert.deepEqual(scales.labelled(24, 0, 60), [23]);
});

test("what is before the oldest delivery that was loaded is unknown, unless the list was read to where it had to be", () => {
  const since = new Date("2026-11-20T00:00:00Z");
  const loaded = [made("2026-11-22T08:00:00Z"), made("2026-11-21T08:00:00Z")];
  assert.equal(scales.reach(loaded, { isAll: false, since }).toISOString(), "2026-11-21T08:00:00.000Z");
  assert.equal(scales.reach(loaded, { isAll: true, since }), since);
  assert.equal(scales.reach([...loaded, made("2026-11-19T08:00:00Z")], { isAll: false, since }), since);
  assert.equal(scales.reach([], { isAll: true, since }), since);
});
