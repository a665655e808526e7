// Whom models are bought from: how they are, and the switches.

import { ask, get, may } from "./api.js";
import { badge, button, empty, facts, h, said } from "./dom.js";
import { sure } from "./dialog.js";
import * as format from "./format.js";
import { every, isLive, listen } from "./live.js";
import { complain, toast } from "./toast.js";

const TONES = { ok: "good", degraded: "warn", down: "bad", disabled: "plain", draining: "warn", unknown: "plain" };

export function stateBadge(state) {
  return badge(state ?? "unknown", TONES[state] ?? "plain");
}

export default {
  title: "Providers",
  lead: "Whom models are bought from. What is switched here survives a restart.",
  needs: ["GET /admin/providers"],

  async open(view) {
    const cards = h("div", { class: "cards" });
    const trials = new Map(); // what came of trying one, by name: it stays while the rest is looked at again
    view.body.append(cards);
    const show = () =>
      view.load(cards, async () => {
        const { data } = await get("/admin/providers", {}, view.signal);
        if (data.length === 0) return empty("No providers", "Configure one under `providers:`, and it appears here.");
        return data.map((one) => card(one, trials, show));
      });
    await show();
    if (isLive()) listen(["provider", "breaker"], show, { signal: view.signal });
    every(10, show, view.signal);
  },
};

function card(provider, trials, show) {
  const { name, state, health } = provider;
  const balance = health.balance;
  const money = balance?.amount != null ? `${balance.amount} ${balance.currency ?? ""}`.trim() : balance?.limit_remaining_usd != null ? `${format.usd(balance.limit_remaining_usd)} of the limit left` : null;
  const told = h("div", { class: "trial", role: "status" }, trials.get(name) ?? null);
  return h(
    "article",
    { class: "card", "aria-label": name },
    h("div", { class: "card-head" }, h("h2", null, name), stateBadge(health.state)),
    h("p", { class: "note" }, health.cause ? said(health.cause) : `${provider.kind} · ${format.plural(provider.models ?? 0, "model")}`),
    facts([
      ["Last minute", `${format.plural(health.requests ?? 0, "request")}`],
      ["Errors", format.percent(health.error_ratio)],
      ["First content p50", format.seconds(health.first_content_p50_s)],
      ["First content p95", format.seconds(health.first_content_p95_s)],
      ["In flight", `${format.count(health.in_flight)}${health.waiting ? `, ${format.count(health.waiting)} waiting` : ""}`],
      ["Breaker", health.breaker === "closed" ? "closed" : badge((health.breaker ?? "–").replace("_", " "), "warn")],
      ["Balance", money],
      ["Checked", h("span", { title: format.moment(health.checked_at) }, format.ago(health.checked_at))],
      health.last_error && ["Last error", typeof health.last_error === "string" ? health.last_error : `${health.last_error.code}, ${format.ago(health.last_error.at)}`],
    ]),
    h("p", { class: "address" }, provider.base_url),
    told,
    may("PATCH /admin/providers/{name}") ? switches(provider, state, trials, told, show) : null,
  );
}

function switches(provider, state, trials, told, show) {
  const { name } = provider;
  const put = async (change, question) => {
    if (question && !(await sure(...question))) return;
    try {
      const now = await ask("PATCH", `/admin/providers/${encodeURIComponent(name)}`, { body: change });
      toast(`${name} is ${now.state} now.`, "good");
      await show();
    } catch (error) {
      complain(error);
    }
  };
  const off = [`Disable ${name}?`, "It gets no requests from now on. Those that run go on to their end.", "Disable", { danger: true }];
  const drain = [`Drain ${name}?`, "Nothing new begins with it; what runs is finished. The card tells when nothing runs any more.", "Drain"];
  const of = (what) => ({ "aria-label": `${what} ${name}` });
  return h(
    "div",
    { class: "card-actions" },
    button("Test", (event) => tryIt(event.currentTarget, name, trials, told), of("Test")),
    state !== "enabled" && button("Enable", () => put({ enabled: true }), { kind: "primary", ...of("Enable") }),
    state === "enabled" && button("Drain", () => put({ drain: true }, drain), of("Drain")),
    state !== "disabled" && button("Disable", () => put({ enabled: false }, off), { kind: "danger-plain", ...of("Disable") }),
    provider.override && button("As configured", () => put({ enabled: null }), of("As configured:")),
  );
}

async function tryIt(pressed, name, trials, told) {
  pressed.disabled = true;
  told.replaceChildren(h("p", { class: "note" }, "Asking its free endpoints …"));
  try {
    const trial = await ask("POST", `/admin/providers/${encodeURIComponent(name)}/test`, { body: {} });
    const shown = trial.ok
      ? h("p", { class: "said good" }, `It answers: ${format.plural(trial.models ?? 0, "model")} in ${format.milliseconds(trial.duration_ms)}.`)
      : h("div", { class: "said bad" }, h("p", null, h("strong", null, said(trial.problem ?? trial.error))), h("p", null, said(trial.remedy)));
    trials.set(name, shown);
    told.replaceChildren(shown);
  } catch (error) {
    told.replaceChildren(h("p", { class: "said bad" }, said(error.message)));
  } finally {
    pressed.disabled = false;
  }
}
