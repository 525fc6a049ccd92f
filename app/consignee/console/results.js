// One result set: its files, and how its deliveries go, live.

import { deliveryId, destinations, nameOf } from "./catalog.js";
import { ask, badge, button, fill, h, link, problem, when, working } from "./dom.js";
import { files } from "./downloads.js";
import { gone, unless404 } from "./gone.js";
import { repeat } from "./poll.js";
import { SENT, STATUSES, facts, isUnfinished, panel, statusBadge, summary, word } from "./progress.js";

export async function page(context) {
  const { api, parameters, signal, setTitle } = context;
  const path = `/collections/${encodeURIComponent(parameters.id)}`;
  return unless404(async () => {
    const [{ collection }, { result }, known] = await Promise.all([
      api.get(path, null, signal), api.get(`${path}/results/${parameters.n}`, null, signal), destinations(api, signal),
    ]);
    setTitle(`${collection.name}, result set ${result.id}`);
    return new Shown(context, { collection, result, known }).element;
  }, () => gone("result set", "It was removed when its time was over, or with its collection.", "All collections", "#/collections"));
}

class Shown {
  constructor(context, { collection, result, known }) {
    Object.assign(this, { context, collection, result, known, cards: new Map(), following: false });
    this.path = `/collections/${collection.id}/results/${result.id}`;
    this.trouble = h("div");
    this.head = h("div");
    this.failed = button("", (event) => this.resend(event.currentTarget, this.again()), { class: "primary" });
    this.all = button("Send all again", (event) => this.resendAll(event.currentTarget));
    this.deliveries = h("div");
    this.webhook = h("div");
    this.element = h("div", null,
      link(collection.name, `#/collections/${collection.id}`, { class: "back" }),
      h("div", { class: "head" }, h("h1", null, `Result set ${result.id}`), h("div", { class: "row" }, this.failed, this.all)),
      this.trouble, this.head,
      h("h2", null, "Deliveries"), this.deliveries, this.webhook,
      h("h2", null, "Files"), files(context, result, `${this.path}/files`));
    this.show();
    this.follow();
  }

  // What changes is shown anew; what is open or has the focus stays.
  show() {
    const statuses = this.result.destination_status;
    fill(this.head, this.about());
    const failed = this.again().length;
    this.failed.hidden = failed < 2;
    this.failed.textContent = `Send ${failed} failed again`;
    for (const [id, status] of Object.entries(statuses)) this.card(id).show(status);
    if (!this.cards.size) fill(this.deliveries, h("p", { class: "muted" }, "It goes nowhere: its collection had no destination."));
    this.showWebhook(this.result.webhook_status);
  }

  about() {
    const { started_at: started, ended_at: ended, expires_at: expires } = this.result;
    return h("div", { class: "card" }, facts([
      ["Deliveries", summary(Object.values(this.result.destination_status).map((one) => one.status))],
      ["Ended", when(ended)], started !== ended ? ["Started", when(started)] : null, ["Kept until", when(expires)],
    ]));
  }

  card(id) {
    if (!this.cards.has(id)) {
      const made = this.made(id);
      this.cards.set(id, made);
      if (this.cards.size === 1) fill(this.deliveries);
      this.deliveries.append(made.element);
    }
    return this.cards.get(id);
  }

  made(id) {
    const name = nameOf(this.known, id);
    const isDisabled = this.known.get(id)?.enabled === false;
    return new Card(id, {
      title: link(name, `#/deliveries/${deliveryId(this.collection.id, this.result.id, id)}`),
      to: name,
      again: this.known.has(id) && !isDisabled ? (pressed) => this.resend(pressed, [id]) : null,
      note: isDisabled ? badge("Destination is disabled") : null,
    });
  }

  // Whose sending again makes sense: what failed or was skipped, at destinations that are enabled by now.
  again() {
    const wanted = ([id, { status }]) => this.known.get(id)?.enabled && ["failed", "skipped"].includes(status);
    return Object.entries(this.result.destination_status).filter(wanted).map(([id]) => id);
  }

  async resendAll(pressed) {
    const text = "All files are sent to all destinations again, also to those that the collection got since. "
      + "What is in the buckets is replaced.";
    if (await ask({ title: "Send all again?", text, action: "Send all again", danger: false })) await this.resend(pressed, null);
  }

  resend(pressed, ids) {
    return this.act(pressed, "resend", ids ? { destination_ids: ids } : {}, "Sending again");
  }

  act(pressed, what, body, told) {
    return working(pressed, async () => {
      const { api, announce, signal } = this.context;
      try {
        const { result } = await api.send("POST", `${this.path}/${what}`, body, signal);
        fill(this.trouble);
        this.update(result);
        announce(told);
        this.follow();
      } catch (error) {
        if (!signal.aborted) fill(this.trouble, problem(error));
      }
    });
  }

  update(status) {
    const before = this.result.destination_status;
    Object.assign(this.result, { destination_status: status.destination_status, webhook_status: status.webhook_status });
    for (const [id, now] of Object.entries(status.destination_status)) {
      if (before[id]?.status !== now.status) this.context.announce(`${nameOf(this.known, id)}: ${word(now.status)}`);
    }
    this.show();
  }

  // Listen until no delivery is unfinished, then wait for the webhook.
  async follow() {
    if (this.following) return;
    this.following = true;
    const { api, signal } = this.context;
    const load = async () => this.update((await api.get(this.path, null, signal)).result);
    try {
      while (this.isMoving()) {
        await api.events(`${this.path}/events`, ({ data }) => this.update(data), signal);
        await load();
      }
      let looks = 0; // the message is made a moment after the last delivery ended
      const isTold = () => !isUnfinished(this.result.webhook_status?.status) && (!this.collection.notification_webhook || (looks += 1) > 2);
      await repeat(load, { signal, seconds: () => (this.isMoving() || isTold() ? 0 : 1.5) });
    } catch (error) {
      if (!signal.aborted) fill(this.trouble, problem(error, () => { fill(this.trouble); this.follow(); }));
    } finally {
      this.following = false;
    }
    if (!signal.aborted && this.isMoving() && !this.trouble.childElementCount) this.follow();
  }

  isMoving() {
    return Object.values(this.result.destination_status).some((one) => isUnfinished(one.status));
  }

  showWebhook(status) {
    if (!status) return;
    if (!this.told) {
      const again = (pressed) => this.act(pressed, "webhook/resend", {}, "The webhook is told again");
      this.told = new Card("webhook", { title: "Webhook", to: "the webhook", again, words: SENT });
      this.webhook.append(this.told.element);
    }
    this.told.show(status);
  }
}

// The delivery to one destination, or the message to the webhook. Without `again` it can't be sent again.
class Card {
  constructor(id, { title, to, again, note = null, words = STATUSES }) {
    Object.assign(this, { canSend: Boolean(again), to, words, state: h("span"), body: h("div") });
    this.again = button("", (event) => again(event.currentTarget), { class: "small" });
    this.element = h("section", { class: "card", "aria-labelledby": `to-${id}` },
      h("div", { class: "head" }, h("div", { class: "row" }, h("h3", { id: `to-${id}` }, title), this.state, note), this.again), this.body);
  }

  show(status) {
    fill(this.state, statusBadge(status.status, this.words));
    this.again.hidden = !this.canSend || ["pending", "uploading"].includes(status.status);
    fill(this.again, status.status === "retrying" ? "Try now" : "Send again", h("span", { class: "unseen" }, ` to ${this.to}`));
    if (this.panel) return this.panel.update(status);
    this.panel = panel(status);
    return this.body.append(this.panel.element);
  }
}
