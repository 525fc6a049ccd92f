// The reference: the OpenAPI document, drawn for people.

import { fill, h } from "../console/dom.js";

const code = (text) => h("code", null, text);
const between = (list, text) => list.flatMap((one, index) => (index ? [text, one] : [one]));
const named = (reference) => reference.split("/").at(-1);
const byId = (id) => document.getElementById(id);

// The rows of a table: each cell is a list of texts and elements, and says on narrow screens what it is.
function table(heads, rows) {
  if (!rows.length) return null;
  const cell = (one, index) => h(index ? "td" : "th", index ? { "data-label": heads[index] } : { scope: "row" }, one);
  return h("div", { class: "table" }, h("table", null,
    h("thead", null, h("tr", null, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map(cell))))));
}

// What a value is, in words.
function kind(schema) {
  if (schema.$ref) return [h("a", { href: `#${named(schema.$ref)}` }, named(schema.$ref))];
  if ("const" in schema) return [code(JSON.stringify(schema.const))];
  if (schema.enum) return ["one of ", between(schema.enum.filter(Boolean).map((one) => code(one)), ", ")];
  const several = schema.oneOf ?? schema.anyOf;
  if (several?.some((one) => one.type === "boolean")) return ["boolean, or the same as text"];
  if (several) return between(several.map(kind), " or ");
  if (schema.allOf) return between(schema.allOf.map(kind), " with ");
  if (schema.type === "array") return ["list of ", kind(schema.items)];
  if (schema.additionalProperties) return ["object, by id: ", kind(schema.additionalProperties)];
  if (schema.properties) return ["object: ", between(Object.entries(schema.properties).map(member), ", ")];
  return [[schema.type ?? "anything"].flat().join(" or "), schema.format ? ` (${schema.format})` : ""];
}

function member([name, schema]) {
  return schema.enum ? [code(name), " is ", kind(schema)] : code(name);
}

function limits(schema) {
  const { minimum, maximum, maxLength, pattern, writeOnly } = schema;
  return [
    maxLength ? `up to ${maxLength} characters` : "",
    maximum === undefined ? "" : `from ${minimum} to ${maximum}`,
    pattern ? ["matches ", code(pattern)] : "",
    schema.default === undefined || schema.default === "" ? "" : ["default ", code(schema.default)],
    writeOnly ? "secret: never answered" : "",
  ].filter((one) => one.length);
}

function told(schema, text = schema.description ?? schema.title ?? "") {
  return between([text, ...limits(schema)].filter((one) => one.length), "; ");
}

// The members of an object, or the shapes that it may have.
function members(schema) {
  if (schema.oneOf) return h("p", null, "By ", code("type"), ": ", between(schema.oneOf.map(kind), ", "), ".");
  const required = new Set(schema.required);
  const rows = Object.entries(schema.properties ?? {}).map(([name, one]) =>
    [code(name), kind(one), required.has(name) ? "yes" : "no", told(one)]);
  return table(["Member", "Type", "Required", "What it is"], rows) ?? h("p", null, kind(schema));
}

function codesIn(value) {
  if (!value || typeof value !== "object") return [];
  return [...(value.properties?.code?.enum ?? []), ...Object.values(value).flatMap(codesIn)];
}

function answers(operation, components) {
  return Object.entries(operation.responses).map(([status, response]) => {
    const found = response.$ref ? components.responses[named(response.$ref)] : response;
    const codes = codesIn(found);
    const shapes = Object.entries(found.content ?? {}).map(([media, { schema }]) => [code(media), status < 300 ? answered(schema) : ""]);
    const tests = JSON.stringify(found).includes("/Problem\"") ? [" or, of the connectivity test, ", h("a", { href: "#Problem" }, "Problem")] : "";
    return { status, codes, row: [code(status), [found.description, codes.length ? [": ", between(codes.map(code), ", "), tests] : ""], between(shapes, ", ")] };
  });
}

function answered(schema) {
  const { request_info: _, ...rest } = schema?.properties ?? {};
  const list = Object.entries(rest).map(([name, one]) => [code(name), ": ", kind(one)]);
  return list.length ? [" with ", between(list, ", ")] : "";
}

function article(id, title, ...content) {
  return h("article", { class: "card", id, tabindex: "-1" }, h("h3", null, h("a", { href: `#${id}` }, title)), content);
}

function drawn(operation, method, path, components) {
  const parameters = operation.parameters.map((one) =>
    [code(one.name), one.in, one.required ? "yes" : "no", told(one.schema, one.description ?? "")]);
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  return article(operation.operationId, [h("span", { class: "method" }, method.toUpperCase()), " ", path],
    h("p", null, operation.summary, operation.security?.length === 0 ? ". Needs no API key." : "."),
    parameters.length ? [h("h4", null, "Parameters"), table(["Name", "In", "Required", "What it is"], parameters)] : null,
    bodies.length ? [h("h4", null, ["Body: ", between(bodies.map(([media]) => code(media)), " or ")]), shape(bodies[0][1].schema)] : null,
    h("h4", null, "Answers"),
    table(["Status", "What it means", "Content"], answers(operation, components).map((one) => one.row)));
}

const shape = (schema) => (schema.$ref ? h("p", null, kind(schema)) : members(schema));

function part(id, title, articles) {
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), articles);
}

function operationsOf(found) {
  return Object.entries(found.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
}

function parts(found) {
  const all = operationsOf(found);
  const tags = [...new Set(all.map((one) => one.operation.tags[0]))];
  const schemas = Object.entries(found.components.schemas);
  const isOfType = ([name]) => name.endsWith("New") && name !== "New";
  const statuses = new Map(all.flatMap((one) => answers(one.operation, found.components).flatMap(({ status, codes }) => codes.map((each) => [each, status]))));
  for (const each of codesIn(found.components.schemas.Problem)) statuses.set(each, "400");
  const draw = ([name, schema]) => article(name, schema.title ? `${name}: ${schema.title}` : name, members(schema));
  return [
    ...tags.map((tag) => part(`tag-${tag}`, tag[0].toUpperCase() + tag.slice(1), all.filter((one) => one.operation.tags[0] === tag)
      .map((one) => drawn(one.operation, one.method, one.path, found.components)))),
    part("types", "Fields of the destination types", schemas.filter(isOfType).map(draw)),
    part("shapes", "Shapes", schemas.filter((one) => !isOfType(one)).map(draw)),
    part("codes", "Error codes", [article("error-codes", "request_info.code",
      table(["Code", "Status"], [...statuses].sort(([, a], [, b]) => a - b).map(([each, status]) => [code(each), code(status)])))]),
  ];
}

function contents(sections) {
  return sections.map((section) => {
    const links = [...section.querySelectorAll("article")].map((one) => h("li", { "data-of": one.id }, h("a", { href: `#${one.id}` }, one.querySelector("h3").textContent)));
    return h("div", null, h("h2", null, section.querySelector("h2").textContent), h("ul", null, links));
  });
}

// Shows the articles that hold every word, and says how many there are.
function search(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const one of document.querySelectorAll("#parts article")) {
    const text = one.textContent.toLowerCase();
    one.hidden = !wanted.every((word) => text.includes(word));
    count += one.hidden ? 0 : 1;
    document.querySelector(`[data-of="${one.id}"]`).hidden = one.hidden;
  }
  for (const section of document.querySelectorAll("#parts section")) section.hidden = !section.querySelector("article:not([hidden])");
  for (const group of byId("contents").children) group.hidden = !group.querySelector("li:not([hidden])");
  byId("found").textContent = wanted.length ? `${count} found` : "";
}

function goTo(hash) {
  const target = hash.length > 1 ? byId(hash.slice(1)) : null;
  if (!target) return;
  if (target.closest("[hidden]")) { byId("search").value = ""; search(""); }
  target.scrollIntoView();
  target.focus({ preventScroll: true });
}

async function start() {
  const response = await fetch("../openapi.json");
  if (!response.ok) throw new Error(`openapi.json was answered with status ${response.status}.`);
  const found = await response.json();
  const sections = parts(found);
  byId("version").textContent = `version ${found.info.version}`;
  byId("about").textContent = found.info.description;
  fill(byId("parts"), sections);
  fill(byId("contents"), contents(sections));
  byId("search").addEventListener("input", (event) => search(event.target.value));
  addEventListener("hashchange", () => goTo(location.hash));
  goTo(location.hash);
}

start().catch((error) => {
  fill(byId("parts"), h("p", { class: "problem", role: "alert" }, `The reference can't be shown: ${error.message}`));
});
