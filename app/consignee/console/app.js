// The frame: who is logged in, which page is shown, and the one table of routes.

import { Api } from "./api.js";
import { announce, fill, h, link, problem, when } from "./dom.js";
import { login, redeemed } from "./login.js";

const BASE = new URL("..", document.baseURI);
const KEY = `consignee:${BASE.pathname}`;

const ROUTES = [
  ["/destinations", () => import("./destinations.js")],
  ["/destinations/new", () => import("./editor.js")],
  ["/destinations/:id", () => import("./editor.js")],
  ["/collections", () => import("./collections.js")],
  ["/collections/new", () => import("./collection.js")],
  ["/collections/:id", () => import("./collection.js")],
  ["/collections/:id/results/:n", () => import("./results.js")],
  ["/deliveries", () => import("./deliveries.js")],
  ["/deliveries/:id", () => import("./delivery.js")],
  ["/charts", () => import("./charts.js")],
];
const TABS = [["Destinations", "/destinations"], ["Collections", "/collections"], ["Deliveries", "/deliveries"], ["Charts", "/charts"]];

const main = document.getElementById("main");
const bar = document.getElementById("bar");
let api = null;
let left = new AbortController();

const NAMED = /^\w[\w.-]*$/; // an id or a number: nothing that would lead a request elsewhere

// "#/destinations/AB?x=1" -> the module's page, its parameters and its query
function found(fragment) {
  const [path, query = ""] = fragment.replace(/^#/, "").split("?");
  const parts = path.split("/");
  for (const [pattern, load] of ROUTES) {
    const names = pattern.split("/");
    if (names.length !== parts.length || !names.every((name, at) => name === parts[at] || (name[0] === ":" && NAMED.test(parts[at])))) continue;
    const pairs = names.flatMap((name, at) => (name[0] === ":" ? [[name.slice(1), parts[at]]] : []));
    return { path, load, parameters: Object.fromEntries(pairs), query: new URLSearchParams(query) };
  }
  return null;
}

function context(route, signal) {
  return {
    api,
    signal,
    announce,
    parameters: route.parameters,
    query: route.query,
    setTitle,
    go(path, { replace = false } = {}) {
      if (replace) history.replaceState(null, "", `#${path}`);
      else if (`#${path}` !== location.hash) { location.hash = path; return; }
      show();
    },
    // Keep what is searched for in the address bar, without loading anything.
    remember(query) {
      const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
      history.replaceState(null, "", `#${route.path}${text ? `?${text}` : ""}`);
    },
  };
}

function setTitle(text) {
  document.title = `${text} – consignee`;
}

async function show({ first = false } = {}) {
  const route = found(location.hash);
  if (!route) return location.replace("#/destinations");
  left.abort();
  const { signal } = (left = new AbortController());
  frame(route.path);
  main.setAttribute("aria-busy", "true");
  const late = setTimeout(() => fill(main, h("p", { class: "muted" }, "Loading…")), 300);
  try {
    const module = await route.load();
    const page = await module.page(context(route, signal));
    if (!signal.aborted) fill(main, page);
  } catch (error) {
    if (!signal.aborted && api) fill(main, problem(error, () => show()));
  } finally {
    clearTimeout(late);
    if (!signal.aborted) arrived(first);
  }
  return undefined;
}

function arrived(first) {
  main.removeAttribute("aria-busy");
  if (first) return;
  scrollTo(0, 0);
  const heading = main.querySelector("h1");
  heading?.setAttribute("tabindex", "-1");
  (heading ?? main).focus({ preventScroll: true });
}

function frame(path) {
  const tab = ([text, to]) => {
    const current = path === to ? "page" : path.startsWith(`${to}/`) ? "true" : null;
    return link(text, `#${to}`, { "aria-current": current });
  };
  fill(bar, h("nav", { "aria-label": "Main" }, TABS.map(tab)), api.key ? h("button", { type: "button", class: "quiet", onclick: leave }, "Log out") : null);
}

function leave() {
  enter("");
  announce("Logged out");
}

// With a key, or with none where the application around this one says who is asking.
function enter(key) {
  left.abort();
  remember(key);
  api = null;
  key ? begin(new Api(BASE, key)) : askForKey("");
}

function begin(made, options) {
  api = made;
  api.refused = () => {
    if (api !== made) return;
    enter("");
    askForKey("You are logged out: the key is not known any more. Log in again.");
  };
  show(options);
}

function askForKey(message) {
  left.abort();
  fill(bar);
  setTitle("Log in");
  fill(main, login(BASE, message, (key) => { remember(key); begin(new Api(BASE, key)); }));
  main.removeAttribute("aria-busy");
  main.querySelector("input")?.focus();
}

// In the tab's session: gone when the tab is closed. Where that is not allowed, in memory alone.
function remember(key) {
  try {
    key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY);
  } catch { /* a browser that keeps nothing */ }
}

function remembered() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

// "#login=…" must not stay in the address bar. Browsers keep it in their history all the same: so it is good once, and no key.
function fromFragment() {
  const given = /^#login=([\w-]+)$/.exec(location.hash);
  if (given) history.replaceState(null, "", "#/destinations");
  return given?.[1] ?? "";
}

async function start() {
  const token = fromFragment();
  let message = "";
  let key = remembered();
  if (token) {
    try {
      key = await redeemed(BASE, token);
    } catch (error) {
      if (!key) message = error.message;
    }
  }
  if (key || (!message && (await isKnown()))) {
    remember(key);
    begin(new Api(BASE, key), { first: !token }); // a reload leaves the focus before the link that skips to the content
  } else {
    askForKey(message);
  }
}

// Whether the application around this one knows who is asking, so that no key is needed.
async function isKnown() {
  try {
    await new Api(BASE, "").get("/account");
    return true;
  } catch {
    return false;
  }
}

document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", () => (fromFragmentLater() ? null : api && show()));

function fromFragmentLater() {
  if (!/^#login=[\w-]+$/.test(location.hash)) return false;
  start();
  return true;
}

// "5 seconds ago" must not stay that.
setInterval(() => { for (const one of document.querySelectorAll("time")) one.replaceWith(when(one.dateTime)); }, 15000);

start();
