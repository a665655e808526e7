// One request: what was asked of whom, what it cost, and where its time went.

import { get } from "./api.js";
import { badge, facts, h, panel } from "./dom.js";
import * as format from "./format.js";
import { statusBadge } from "./page_generations.js";
import { to } from "./router.js";
import { table } from "./table.js";
import { barsOf, waterfall } from "./waterfall.js";

export default {
  title: "Generation",
  needs: ["GET /v1/generations/{id}"],

  async open(view) {
    view.lead.replaceChildren(h("code", null, view.rest));
    view.actions.append(h("a", { class: "button", href: "#/generations" }, "All generations"));
    const body = h("div", { class: "stack" });
    view.body.append(body);
    await view.load(body, async () => shown(await get(`/v1/generations/${encodeURIComponent(view.rest)}`, {}, view.signal)));
  },
};

function shown(one) {
  const marks = one.first_chunk_ms === null ? [] : [["first chunk", one.first_chunk_ms]];
  const tags = Object.entries(one.tags);
  const code = (text) => (text ? h("code", null, text) : null);
  return [
    h(
      "div",
      { class: "columns" },
      panel(
        "What it was",
        { actions: [statusBadge(one), one.cache && badge(`cache: ${one.cache}`)] },
        facts([
          ["When", format.moment(one.at)],
          ["Model", code(one.model)],
          ["Provider", one.provider],
          ["Upstream model", code(one.upstream_model)],
          ["Came by", one.surface],
          ["Key", one.key_id?.startsWith("key_") ? h("a", { href: to("generations", "", { key_id: one.key_id }) }, h("code", null, one.key_id)) : code(one.key_id)],
          ["User", one.user],
          tags.length && ["Tags", tags.map(([name, value]) => `${name}=${value}`).join(", ")],
          one.error_code && ["Error", code(one.error_code)],
          ["Attempts", format.count(one.attempts)],
        ]),
      ),
      panel(
        "What it used",
        {},
        facts([
          ["Cost", h("span", { title: `${one.cost_usd} USD` }, format.usd(one.cost_usd), one.cost_source === "none" ? (one.status === "ok" ? " (no price is known)" : "") : ` (${one.cost_source}${one.price_date ? `, prices of ${one.price_date}` : ""})`)],
          ["Input", format.plural(one.input_tokens, "token")],
          ["of it cached", format.plural(one.cached_input_tokens, "token")],
          ["Output", format.plural(one.output_tokens, "token")],
          ["of it reasoning", format.plural(one.reasoning_tokens, "token")],
          ["Saved by the cache", format.usd(one.saved_usd)],
          ["Wasted on failures", format.usd(one.wasted_usd)],
          ["Upstream id", code(one.upstream_id)],
          ["Cache key", code(one.cache_key)],
        ]),
      ),
    ),
    panel("Where the time went", { actions: [h("span", { class: "note" }, `${format.milliseconds(one.duration_ms)} in all`)] }, waterfall(barsOf(one), one.duration_ms ?? 0, marks)),
    one.tries.length > 0 && panel("Attempts", {}, tries(one.tries)),
    one.corrections.length > 0 && panel("Corrections", { note: "Differences that were recorded later; the figures above have them in." }, corrections(one.corrections)),
  ];
}

function tries(rows) {
  return table(
    "Attempts",
    [
      { label: "Provider", cell: (one) => one.provider },
      { label: "Upstream model", cell: (one) => h("code", null, one.upstream_model), wide: true },
      { label: "Ended with", cell: (one) => (one.error_code ? badge(one.error_code, "bad") : badge("ok", "good")) },
      { label: "Duration", cell: (one) => format.milliseconds(one.duration_ms), end: true },
      { label: "Wasted", cell: (one) => format.usd(one.wasted_usd), end: true },
    ],
    { rows },
  );
}

function corrections(rows) {
  return table(
    "Corrections",
    [
      { label: "When", cell: (one) => format.moment(one.at) },
      { label: "Rests on", cell: (one) => one.cost_source },
      { label: "Input tokens", cell: (one) => format.count(one.input_tokens), end: true },
      { label: "Output tokens", cell: (one) => format.count(one.output_tokens), end: true },
      { label: "Cost", cell: (one) => format.usd(one.cost_usd), end: true },
    ],
    { rows },
  );
}
