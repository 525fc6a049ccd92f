// The files of a result set, and how to get them: the key goes in a header, so a plain link would not do.

import { ask, button, bytes, fill, h, problem, working } from "./dom.js";
import { row, table } from "./table.js";

const COLUMNS = [["Name", "name"], ["Size", "number"], "SHA-256", ["Download", "number"]];
const STEP = 100;
const SMALL = 64 * 1024 * 1024; // bytes that may well be held in memory before they are saved

export function files(context, result, path) {
  const rows = h("tbody");
  const trouble = h("div");
  const more = button("", () => grow());
  const grow = () => {
    const at = rows.childElementCount;
    rows.append(...result.files.slice(at, at + STEP).map((file) => shown(context, file, path, trouble)));
    const left = result.files.length - rows.childElementCount;
    more.textContent = `Show ${Math.min(left, STEP)} more of ${left}`;
    more.hidden = !left;
  };
  grow();
  const hasManifest = Object.values(result.destination_status).some((one) => one.files_total > result.files.length);
  return h("div", null, trouble, table("Files", COLUMNS, rows),
    hasManifest ? h("p", { class: "hint" }, "A manifest of them is sent after them.") : null, h("p", { class: "row below" }, more));
}

function shown(context, file, path, trouble) {
  const get = (event) => working(event.currentTarget, async () => {
    fill(trouble);
    try {
      await download(context, file, `${path}/${encodeURIComponent(file.name)}`);
    } catch (error) {
      if (error.name !== "AbortError" && !context.signal.aborted) fill(trouble, problem(error));
    }
  });
  return row(COLUMNS, file.name, bytes(file.size), h("code", { class: "digest", title: file.sha256 }, file.sha256),
    button("Download", get, { class: "small", "aria-label": `Download ${file.name}` }));
}

async function download({ api, announce, signal }, file, path) {
  const isLarge = file.size > SMALL;
  if (isLarge && !window.showSaveFilePicker) return explain(api, file, path);
  // Before anything is asked for: the browser lets a page ask where to save only right after it was clicked.
  const target = isLarge ? await window.showSaveFilePicker({ suggestedName: file.name }) : null;
  announce(`Downloading ${file.name}`);
  const response = await api.streamed(api.url(path), { signal });
  if (target) await response.body.pipeTo(await target.createWritable());
  else save(await response.blob(), file.name);
  return announce(`${file.name} is downloaded`);
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

async function explain(api, file, path) {
  const url = api.url(path).href.replace(/[!'$`]/g, (one) => `%${one.charCodeAt(0).toString(16)}`); // which shells would read
  const command = `curl --fail --remote-name --remote-header-name --header "Authorization: Bearer $KEY" "${url}"`;
  const copy = await ask({
    title: `${bytes(file.size)} is much for a browser`,
    text: h("div", null, h("p", null, "Get it with this command, with your API key in KEY:"),
      h("pre", { class: "secret", tabindex: "0", "aria-label": "Command" }, command)),
    action: "Copy",
    danger: false,
  });
  if (copy) await navigator.clipboard.writeText(command);
}
