// Beside the form of a destination: the key that a file will get, and the policy to paste.

import { button, fill, h } from "./dom.js";
import { keyOf, problems, samples } from "./prefix.js";

const FILE = "visits.csv";
const PAUSE = 400; // ms without typing before the service is asked

export class Preview {
  constructor({ api, signal }) {
    Object.assign(this, { api, signal, asked: 0 });
    this.key = h("div", { class: "card" });
    this.policy = h("div", { class: "card", hidden: true });
    this.element = h("aside", { "aria-label": "Preview" }, this.key, this.policy);
  }

  // `fields` are those of the form, by name; `prefix` is what stands in the one for the path prefix.
  show({ type, preset, fields, prefix }) {
    const isRight = type && !problems(prefix).length;
    const instead = type ? "Mend the path prefix first." : "Choose where the bucket is.";
    fill(this.key, h("h2", null, "Where a file will be"),
      isRight ? h("p", null, h("code", { class: "key" }, keyOf(prefix, samples(), FILE))) : h("p", { class: "muted" }, instead),
      isRight ? h("p", { class: "hint" }, `For the file ${FILE} of the first result set of the collection “Daily figures”, today.`) : null);
    if (!type) this.policy.hidden = true;
    clearTimeout(this.soon);
    if (type && preset?.rights) this.tell(h("p", null, preset.rights));
    else if (type) this.soon = setTimeout(() => this.ask(type, Object.values(fields).filter((one) => !one.about.secret)), PAUSE);
  }

  tell(...content) {
    this.asked += 1;
    this.policy.hidden = false;
    fill(this.policy, h("h2", null, "What to allow"), content);
  }

  // The policy is the service's to say; until enough is filled in there is none.
  async ask(type, fields) {
    const later = () => this.tell(h("p", { class: "muted" }, "The policy to paste appears here once the bucket is named."));
    if (fields.some((one) => one.about.required && !one.read().trim())) return later();
    const asked = (this.asked += 1);
    const values = Object.fromEntries(fields.map((one) => [one.about.name, one.read().trim()]));
    try {
      const { policy } = await this.api.send("POST", "/destinations/policy", { ...values, type: type.type }, this.signal);
      if (asked === this.asked) this.tell(shown(JSON.stringify(policy, null, 2)));
    } catch (error) {
      if (this.signal.aborted || asked !== this.asked) return undefined;
      if (error.code === "invalid_request") return later();
      this.tell(h("p", { class: "muted" }, error.code === "not_found" ? "Storage of this type has no policies." : error.message));
    }
    return undefined;
  }
}

function shown(text) {
  const copy = button("Copy", async () => {
    await navigator.clipboard?.writeText(text);
    copy.textContent = navigator.clipboard ? "Copied" : "Select it and copy"; // browsers have a clipboard only over https
  }, { class: "small" });
  return [h("p", { class: "hint" }, "The smallest policy that lets it work: write and delete under the prefix, nothing else."),
    h("pre", { tabindex: "0", role: "region", "aria-label": "Policy" }, text), h("p", { class: "row end" }, copy)];
}
