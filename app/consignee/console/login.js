// The login: an API key typed in, or a one-time link of the server's exchanged for a key.

import { Api } from "./api.js";
import { field, h, working } from "./dom.js";

// The form; `enter` gets a key that was proven.
export function login(base, message, enter) {
  const key = field("API key", h("input", { type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "none" }), {
    required: true,
    help: "It stays in this tab and is forgotten when the tab is closed.",
  });
  const submit = h("button", { type: "submit", class: "primary" }, "Log in");
  const check = async () => {
    const given = key.control.value.trim();
    key.set(given ? [] : ["Enter your API key."]);
    if (given) await new Api(base, given).get("/account");
    return given;
  };
  const onsubmit = (event) => {
    event.preventDefault();
    working(submit, async () => {
      try {
        const given = await check();
        if (given) enter(given);
        else key.control.focus();
      } catch (error) {
        key.set([error.status === 401 ? "This key is not known. Check that all of it was copied." : error.message]);
        key.control.focus();
      }
    });
  };
  return h("form", { class: "login", onsubmit, novalidate: true },
    h("h1", null, "Log in"),
    message ? h("p", { class: "problem", role: "alert" }, message) : null,
    key.box, h("p", null, submit),
    h("details", null, h("summary", null, "Where do I get a key?"),
      h("p", { class: "hint" }, "Whoever runs this service makes one with ", h("code", null, "consignee keys create --account NAME"),
        ", or starts it with ", h("code", null, "consignee serve --console NAME"), ", which prints a link that logs in once.")));
}

// The key for a one-time token.
export async function redeemed(base, token) {
  const answer = await new Api(base, "").send("POST", "/console/login", { token });
  return answer.key;
}
