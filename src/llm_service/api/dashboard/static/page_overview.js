// What the service does, costs and suffers, at a glance.

import { get, may } from "./api.js";
import { chart } from "./chart.js";
import { badge, empty, h, panel, said, select, tile, tiles } from "./dom.js";
import * as format from "./format.js";
import { every, isLive, listen } from "./live.js";
import { stateBadge } from "./page_providers.js";
import { firing } from "./page_alerts.js";
import { records } from "./page_generations.js";
import { to } from "./router.js";

const METRICS = "GET /admin/metrics";
// A window in seconds, and how far its points are apart.
const WINDOWS = { 300: ["5 minutes", 2], 900: ["15 minutes", 10], 3600: ["1 hour", 30] };
const LEAST_POINTS = 15;
const rate = (value) => format.figure(value);

// The charts: title, unit, how a figure is written, and the series by the service's names.
const CHARTS = [
  ["Requests", "per second, refused ones too", rate, [["requests_per_s", "All", 1], ["errors_per_s", "Errors", "bad"]]],
  ["Latency", "", format.seconds, [["latency_p50_s", "p50", 1], ["latency_p95_s", "p95", 2], ["latency_p99_s", "p99", 3]]],
  ["First chunk", "", format.seconds, [["first_chunk_p50_s", "p50", 1], ["first_chunk_p95_s", "p95", 2]]],
  ["Tokens", "per second", format.short, [["input_tokens_per_s", "Input", 1], ["output_tokens_per_s", "Output", 2]]],
  ["Cost", "per hour", format.usd, [["cost_usd_per_h", "Cost", 4]]],
  ["Cache hit ratio", "", format.percent, [["hit_ratio", "Hits", 3]]],
  ["In flight", "", rate, [["in_flight", "Requests", 1]]],
];

export default {
  title: "Overview",
  lead: "What the service does, costs and suffers.",
  needs: ["GET /admin/usage/summary"],

  async open(view) {
    const day = h("div", { class: "stack-s" });
    const fires = h("div", { role: "status" });
    const away = h("div", { role: "status" });
    const providers = h("div");
    const recent = h("div");
    const live = h("div", { class: "charts" });
    const state = h("span", { class: "pulse", role: "status" });
    view.body.append(
      fires,
      away,
      day,
      liveSection(view, live, state, (kind) => (kind === "alert" ? showFires() : showProviders())),
      h("div", { class: "columns" }, panel("Providers", { actions: [h("a", { href: "#/providers" }, "All about them")] }, providers), panel("Latest generations", { actions: [h("a", { href: "#/generations" }, "All of them")] }, recent)),
    );
    const showDay = () => view.load(day, () => lastDay(view.signal));
    const showRecent = () => view.load(recent, async () => records((await get("/admin/usage", { limit: 6 }, view.signal)).data, { brief: true }));
    const showProviders = () =>
      view.load(providers, async () => {
        const health = await get("/health", {}, view.signal);
        away.replaceChildren(...storesAway(health.stores));
        return providerList(health.providers);
      });
    const showFires = async () => fires.replaceChildren(...(await firing(view.signal)));
    showDay();
    showRecent();
    showProviders();
    showFires();
    every(10, showRecent, view.signal);
    every(15, showProviders, view.signal);
    every(30, showDay, view.signal);
    every(30, showFires, view.signal);
  },
};

async function lastDay(signal) {
  const since = new Date(Date.now() - 86_400_000).toISOString();
  const [sum = {}] = (await get("/admin/usage/summary", { since }, signal)).data;
  const requests = sum.requests ?? 0;
  const share = requests ? sum.errors / requests : null;
  return [
    h("h2", { class: "section" }, "The last 24 hours"),
    tiles(
      tile("Requests", h("span", { title: format.count(requests) }, format.short(requests)), requests ? `accepted; ${format.plural(sum.errors, "error")}` : "none yet"),
      tile("Error ratio", format.percent(share), "of accepted requests", share > 0.05 ? "bad" : ""),
      tile("Cost", format.usd(sum.cost_usd ?? 0), requests ? `${format.usd(sum.cost_usd / requests)} a request` : null),
      tile("Saved by the cache", format.usd(sum.saved_usd ?? 0), `${format.plural(sum.hits ?? 0, "hit")}`),
      tile("Tokens", format.short((sum.input_tokens ?? 0) + (sum.output_tokens ?? 0)), `${format.short(sum.input_tokens ?? 0)} in, ${format.short(sum.output_tokens ?? 0)} out`),
    ),
  ];
}

/** Charts of what happens; `happened(kind)` is told of the rest, over the same connection. */
function liveSection(view, place, state, happened) {
  const span = select(Object.entries(WINDOWS).map(([value, [label]]) => [value, label]), "300", { "aria-label": "Time shown" });
  const head = h("div", { class: "section-head" }, h("h2", { class: "section" }, "Live"), state, may(METRICS) ? span : null);
  if (!may(METRICS)) {
    place.append(empty("No live figures", "This service does not tell its figures over time to this key."));
    return h("section", { class: "stack-s" }, head, place);
  }
  const charts = CHARTS.map(([title, unit, write, series]) => ({
    names: series.map(([name]) => name),
    figure: chart(title, series.map(([, label, ink]) => ({ label, ink })), { format: write, unit }),
  }));
  place.append(...charts.map((one) => one.figure));
  let at = [];
  let values = new Map();
  let step = WINDOWS[span.value][1];

  function draw() {
    for (const { names, figure } of charts) figure.show(at, names.map((name) => values.get(name) ?? at.map(() => null)));
  }

  /** Where nobody looked earlier there is nothing to draw: begin where the figures do, a little before at first. */
  function fromTheFirst() {
    const all = [...values.values()];
    const found = at.findIndex((_, which) => all.some((figures) => figures[which] !== null));
    const first = Math.min(found < 0 ? 0 : found, Math.max(0, at.length - LEAST_POINTS));
    at = at.slice(first);
    values = new Map([...values].map(([name, figures]) => [name, figures.slice(first)]));
  }

  async function whole() {
    try {
      const told = await get("/admin/metrics", { window_s: span.value, step_s: WINDOWS[span.value][1] }, view.signal);
      step = told.step_s;
      at = told.at.map((moment) => Date.parse(moment) / 1000);
      values = new Map(Object.entries(told.series));
      fromTheFirst();
      draw();
    } catch (error) {
      if (error.name !== "AbortError") state.textContent = error.message;
    }
  }

  function next(data) {
    const moment = Date.parse(data.at) / 1000;
    if (moment - (at.at(-1) ?? 0) < step * 0.5) return;
    const from = moment - Number(span.value);
    const kept = at.findIndex((one) => one >= from);
    at = [...(kept < 0 ? [] : at.slice(kept)), moment];
    for (const name of CHARTS.flatMap(([, , , series]) => series.map(([one]) => one))) {
      const before = values.get(name) ?? [];
      values.set(name, [...(kept < 0 ? [] : before.slice(kept)), data[name] ?? null]);
    }
    draw();
  }

  const words = { live: "live", connecting: "connecting …", paused: "paused" };
  let hearing = null;
  async function follow() {
    hearing?.abort();
    hearing = new AbortController();
    const signal = AbortSignal.any([view.signal, hearing.signal]);
    await whole();
    if (signal.aborted) return;
    if (!isLive()) {
      state.textContent = `every ${format.duration(Math.max(step, 5))}`;
      every(Math.max(step, 5), whole, signal);
      return;
    }
    let wasLive = false;
    listen(["metrics", "alert", "provider", "breaker"], (kind, data) => (kind === "metrics" ? next(data) : happened(kind)), {
      signal,
      intervalS: step,
      state: (word) => {
        state.textContent = words[word];
        state.className = `pulse ${word}`;
        if (word === "live" && wasLive) whole(); // what was missed meanwhile
        wasLive ||= word === "live";
      },
    });
  }
  span.addEventListener("change", follow);
  follow();
  return h("section", { class: "stack-s" }, head, place);
}

/** Stores that do not answer, before an alert is told of them. */
function storesAway(stores) {
  const down = ["limits", "cache", "database"].filter((name) => stores?.[name]?.up === false);
  if (down.length === 0) return [];
  const words = down.map((name) => `${name}${stores[name].cause ? ` (${stores[name].cause})` : ""}`).join(", ");
  return [h("div", { class: "banner warn" }, h("span", null, h("strong", null, "Away: "), `the store of ${words}`), may("GET /health") ? h("a", { href: to("health") }, "Show") : null)];
}

function providerList(providers) {
  const names = Object.entries(providers);
  if (names.length === 0) return empty("No providers", "Configure one, and it appears here.");
  return h(
    "ul",
    { class: "rows" },
    names.map(([name, one]) =>
      h(
        "li",
        null,
        h("span", { class: "row-main" }, h("a", { href: to("providers") }, name), h("span", { class: "note" }, one.cause ? said(one.cause) : `${format.plural(one.requests ?? 0, "request")} in the last minute`)),
        one.breaker && one.breaker !== "closed" ? badge(`breaker ${one.breaker.replace("_", " ")}`, "warn") : null,
        stateBadge(one.state),
      ),
    ),
  );
}
