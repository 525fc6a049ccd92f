// Upload of a result set: several files, dropped or chosen, sent as one.

import { problems } from "./file-names.js";
import { button, bytes, fill, h, problem } from "./dom.js";

const SHOWN = 50;
let count = 0;

// `taken` gets the result set that the service made of the files.
export function uploader(context, { path, reserved, taken }) {
  const state = { files: [], folders: [], path, reserved, taken, key: "", stop: null };
  const element = h("section", { class: "card upload", "aria-labelledby": "upload-title" });
  const add = (files, folders = []) => {
    if (state.stop) return;
    Object.assign(state, { files: [...state.files, ...files], folders, key: newKey() });
    choosing(context, element, state, add);
    context.announce(`${named(state.files.length)} chosen`);
  };
  element.addEventListener("dragover", (event) => { event.preventDefault(); element.classList.add("over"); });
  element.addEventListener("dragleave", (event) => { if (!element.contains(event.relatedTarget)) element.classList.remove("over"); });
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    add(...dropped(event.dataTransfer));
  });
  // A file that misses the place must not take the page away.
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault(), { signal: context.signal });
  choosing(context, element, state, add);
  return element;
}

// The files that were dropped, and the names of folders, which a browser can't hand over like files.
function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  const folders = entries.filter(([entry]) => entry?.isDirectory).map(([entry]) => entry.name);
  return [entries.filter(([entry, file]) => file && !entry?.isDirectory).map(([, file]) => file), folders];
}

// So that files which are sent again, because no answer came, are not taken for another result set.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function choosing(context, element, state, add, error = null) {
  const id = `files-${(count += 1)}`;
  const input = h("input", { type: "file", id, multiple: true, class: "unseen", onchange: () => add([...input.files]) });
  const found = problems(state.files.map((file) => file.name), state.reserved);
  const wrong = found.filter(Boolean).length;
  const again = () => choosing(context, element, state, add);
  const without = (at) => { state.files.splice(at, 1); state.key = newKey(); again(); element.querySelector("input, button")?.focus(); };
  const alert = (when, text) => (when ? h("p", { class: "problem", role: "alert" }, text) : null);
  const upload = button(error ? "Send again" : `Upload ${named(state.files.length)}`, () => send(context, element, state, add),
    { class: "primary", disabled: wrong > 0 });
  const clear = button("Clear", () => { Object.assign(state, { files: [], folders: [] }); again(); }, { class: "quiet" });
  fill(element, h("h2", { id: "upload-title" }, "Upload a result set"),
    error ? problem(error) : null,
    alert(state.folders.length, `A folder can't be uploaded: ${state.folders.join(", ")}. Drop the files that are in it.`),
    h("p", { class: "drop" }, input,
      h("label", { for: id, class: "button" }, state.files.length ? "Add files" : "Choose files"), h("span", { class: "muted" }, "or drop them here")),
    state.files.length ? list(state.files, found, without) : null,
    alert(wrong, `${wrong} of the files can't be uploaded as they are. Rename or remove them.`),
    state.files.length ? h("p", { class: "row" }, upload, clear) : null);
}

const named = (number) => `${number} file${number === 1 ? "" : "s"}`;

function list(files, found, without) {
  const order = [...files.keys()].sort((one, other) => Boolean(found[other]) - Boolean(found[one])).slice(0, SHOWN);
  const one = (at) => h("li", null,
    h("span", { class: "name" }, files[at].name || "(no name)"), h("span", { class: "muted" }, bytes(files[at].size)),
    found[at] ? h("span", { class: "bad" }, `The name ${found[at]}.`) : null,
    button("Remove", () => without(at), { class: "quiet small", "aria-label": `Remove ${files[at].name}` }));
  const total = files.reduce((sum, file) => sum + file.size, 0);
  return [
    h("ul", { class: "files" }, order.map(one)),
    h("p", { class: "hint" }, `${named(files.length)}, ${bytes(total)} in all${files.length > SHOWN ? `; ${SHOWN} are shown` : ""}.`),
  ];
}

async function send(context, element, state, add) {
  const { api, announce, signal } = context;
  const stop = (state.stop = new AbortController());
  const leave = () => stop.abort();
  const warn = (event) => event.preventDefault();
  signal.addEventListener("abort", leave);
  addEventListener("beforeunload", warn);
  const moved = sending(element, stop);
  let error = null;
  try {
    const { result } = await api.upload(state.path, form(state.files), moved, stop.signal, { "Idempotency-Key": state.key });
    announce(`Result set ${result.id} is taken in`);
    if (!signal.aborted) state.taken(result);
    return;
  } catch (caught) {
    error = caught.name === "AbortError" ? new Error("The upload was stopped. Nothing of it was kept.") : caught;
  } finally {
    state.stop = null;
    signal.removeEventListener("abort", leave);
    removeEventListener("beforeunload", warn);
  }
  if (!signal.aborted) choosing(context, element, state, add, told(error));
}

function form(files) {
  const data = new FormData();
  for (const file of files) data.append("file", file, file.name);
  return data;
}

// What is wrong with which file stands in `errors`.
function told(error) {
  const wrong = Object.values(error.errors ?? {}).flat();
  return wrong.length ? Object.assign(new Error(`Nothing was kept: ${wrong.join("; ")}.`), { trace: error.trace }) : error;
}

function sending(element, stop) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Upload" });
  const text = h("p", { class: "hint" }, "Starting…");
  fill(element, h("h2", { id: "upload-title" }, "Uploading"), bar, text,
    h("p", { class: "row" }, button("Stop", () => stop.abort()), h("span", { class: "hint" }, "Stay on this page until it is done.")));
  element.querySelector("button").focus();
  return ({ sent, total }) => {
    bar.value = total ? sent / total : 0;
    text.textContent = sent < total ? `${bytes(sent)} of ${bytes(total)}` : "All sent. The service is writing it to its disk…";
  };
}
