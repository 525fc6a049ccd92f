// Which key a file gets under a path prefix: the rules of the service (path_prefix.py), for a preview while typing.

export const TOKENS = ["COLLECTION_NAME", "COLLECTION_ID", "DATE", "RESULT_SET_ID"];
const PREFIX_BYTES = 768;
const TOKEN = /%([A-Za-z][A-Za-z0-9_]*)%/g;
const LIKE_A_TOKEN = /%([A-Za-z0-9_-]*[A-Za-z][A-Za-z0-9_-]*)%/g;
const UNSAFE = /[/\\\u0000-\u001f\u007f-\u009f\ufffe\uffff]/;

const size = (text) => new TextEncoder().encode(text).length;
const isWayUp = (segment) => [".", ".."].includes(segment.normalize("NFKC"));

// An example for each token; today, as the service writes it.
export function samples(now = new Date()) {
  return {
    COLLECTION_ID: "5C1D90E7",
    COLLECTION_NAME: "Daily figures",
    RESULT_SET_ID: "1",
    DATE: now.toISOString().slice(0, 10).replaceAll("-", "_"),
  };
}

// What is wrong with a prefix, or an empty list.
export function problems(prefix) {
  const unknown = [...prefix.matchAll(LIKE_A_TOKEN)].filter(([, name]) => !TOKENS.includes(name));
  const found = unknown.map(([token]) => `There is no ${token}: use ${TOKENS.map((one) => `%${one}%`).join(", ")}.`);
  if (prefix.includes("\\")) found.push("Separate folders with /, not with a backslash.");
  if (prefix.split("/").some(isWayUp)) found.push("A folder can't be . or ..");
  if (size(prefix) > PREFIX_BYTES) found.push(`At most ${PREFIX_BYTES} bytes.`);
  return found;
}

// The key of a file, the tokens filled in; the file's name alone if there is no prefix.
export function keyOf(prefix, values, fileName) {
  const filled = prefix.replace(TOKEN, (token, name) => (name in values ? safe(values[name]) : token));
  const folders = filled.split("/").filter(Boolean).map((one) => (isWayUp(one) ? "_".repeat(one.length) : one));
  return [...folders, fileName].join("/");
}

function safe(value) {
  const made = [...value].map((one) => (UNSAFE.test(one.normalize("NFKC")) ? "_" : one)).join("");
  return /^\.*$/.test(made.normalize("NFKC")) ? "_".repeat(Math.max([...made].length, 1)) : made;
}
