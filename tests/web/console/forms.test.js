// Run by tests/web/test_console_functions.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inWords } from "../../../app/consignee/console/chart.js";
import { deliveryId, nameOf } from "../../../app/consignee/console/catalog.js";
import { changes } from "../../../app/consignee/console/collection-form.js";
import { problems } from "../../../app/consignee/console/file-names.js";

const BEFORE = { name: "Daily", destination_ids: ["A", "B"], notification_webhook: null, manifest: false };
const SAME = { name: "Daily", destination_ids: ["A", "B"], notification_webhook: "", notification_webhook_secret: "", manifest: false };

test("what was not touched is not sent, so that nobody else's change is undone", () => {
  assert.deepEqual(changes(BEFORE, SAME), {});
  assert.deepEqual(changes(BEFORE, { ...SAME, destination_ids: ["B", "A"] }), {}, "their order means nothing");
  assert.deepEqual(changes(BEFORE, { ...SAME, destination_ids: ["A"], manifest: true }), { destination_ids: ["A"], manifest: true });
});

test("a webhook that is taken away is sent empty, and a secret only if one was typed", () => {
  assert.deepEqual(changes({ ...BEFORE, notification_webhook: "https://a.example" }, SAME), { notification_webhook: "" });
  assert.deepEqual(changes(BEFORE, { ...SAME, notification_webhook_secret: "whsec_x" }), { notification_webhook_secret: "whsec_x" });
});

test("a new collection is sent whole", () => assert.equal(changes(null, SAME), SAME));

test("names that are equal after normalization are found, and so are reserved ones", () => {
  const found = problems(["caf\u00e9.csv", "cafe\u0301.csv", "_manifest.json", "b.csv"], ["_manifest.json"]);
  assert.deepEqual(found, [null, "is there twice", "is reserved for the manifest", null]);
  assert.deepEqual(problems(["_manifest.json"]), [null]);
});

test("a chart says in words what it shows", () => {
  const labels = [{ full: "Fri 20 Nov" }, { full: "Sat 21 Nov" }];
  assert.equal(inWords({ stacks: [3, 9], labels, format: String }), "From Fri 20 Nov to Sat 21 Nov: 12 in all; the most at Sat 21 Nov, 9.");
  assert.equal(inWords({ stacks: [0, 0], labels, format: String }), "Nothing from Fri 20 Nov to Sat 21 Nov.");
});

test("the id of a delivery is made as the service makes it", () => {
  assert.equal(deliveryId("5C1D90E7", 12, "159F123B"), "5C1D90E7.0000000012.159F123B");
});

test("what is gone is called by its id", () => {
  const known = new Map([["A", { name: "Reports" }]]);
  assert.deepEqual([nameOf(known, "A"), nameOf(known, "B")], ["Reports", "B (deleted)"]);
});
