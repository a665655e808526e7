// The requests that were recorded, newest first.

import { get, keyNames } from "./api.js";
import { badge, button, field, h, longName, select } from "./dom.js";
import * as format from "./format.js";
import { every, isLive, listen } from "./live.js";
import { period } from "./period.js";
import { keep, to } from "./router.js";
import { table } from "./table.js";

const TONES = { ok: "good", error: "bad", aborted: "warn", refused: "warn", interrupted: "bad" };
const CACHES = ["hit", "semantic", "coalesced", "replay", "stale", "miss", "bypass"];
const PAGE = 50;

export function statusBadge(record) {
  return badge(record.status, TONES[record.status], record.error_code);
}

/** A table of records. `brief`: the columns that fit beside something else. `narrowed`: others are left out. */
export function records(rows, { brief = false, names = new Map(), narrowed = false } = {}) {
  const columns = [
    {
      label: "When",
      cell: (one) => h("a", { href: to("generations", one.request_id), title: `${one.request_id}, ${format.moment(one.at)}` }, format.when(one.at)),
    },
    { label: "Model", cell: (one) => longName(one.model), wide: true },
    { label: "Status", cell: (one) => h("span", { class: "badges" }, statusBadge(one), one.adjusts ? badge("correction") : null) },
    { label: "Cache", cell: (one) => one.cache ?? "–" },
    { label: "Tokens", cell: (one) => `${format.short(one.input_tokens)} → ${format.short(one.output_tokens)}`, end: true },
    { label: "First chunk", cell: (one) => format.milliseconds(one.first_chunk_ms), end: true },
    { label: "Duration", cell: (one) => format.milliseconds(one.duration_ms), end: true },
    { label: "Cost", cell: (one) => h("span", { title: `${one.cost_usd} USD, ${one.cost_source}` }, format.usd(one.cost_usd)), end: true },
  ];
  const full = [{ label: "Key", cell: (one) => h("span", { class: "cut", title: one.key_id }, names.get(one.key_id) ?? format.briefly(one.key_id) ?? "–") }, { label: "Provider", cell: (one) => one.provider ?? "–" }];
  const chosen = brief ? [columns[0], columns[1], columns[2], columns[7]] : [...columns.slice(0, 2), full[1], columns[2], columns[3], full[0], ...columns.slice(4)];
  const nothing = narrowed ? ["No generation fits", "Others may, with fewer filters or in a longer period."] : ["No generations yet", "Ask a model, here in the playground or over the API, and it appears."];
  return table("Generations", chosen, { rows, nothing });
}

export default {
  title: "Generations",
  lead: "Every request that was accepted, with what it used, cost and took.",
  needs: ["GET /admin/usage"],

  async open(view) {
    const asked = view.query;
    const inputs = {
      status: select([["", "any"], ...Object.keys(TONES)], asked.status ?? ""),
      cache: select([["", "any"], ...CACHES], asked.cache ?? ""),
      model: text(asked.model),
      provider: text(asked.provider),
      key_id: text(asked.key_id, "key_…"),
      user: text(asked.user),
      tag: text(asked.tag, "name=value"),
    };
    const time = period(asked, { first: [["", "any"]], chosen: "" });
    const labels = { status: "Status", cache: "Cache", model: "Model", provider: "Provider", key_id: "Key", user: "User", tag: "Tag" };
    const form = h("form", { class: "filters" }, Object.entries(inputs).map(([name, input]) => field(labels[name], input)), time.fields, h("button", { type: "submit", class: "unseen" }, "Show"));
    const id = h("input", { placeholder: "req_…", autocomplete: "off", spellcheck: "false", "aria-label": "Find by id" });
    const find = h("form", { class: "find" }, id, h("button", { type: "submit", class: "button" }, "Find"));
    find.addEventListener("submit", (event) => {
      event.preventDefault();
      if (id.value.trim()) location.hash = to("generations", id.value.trim());
    });
    const body = h("section", { class: "panel flush", "aria-label": "Records" });
    const more = button("Show more", () => show(false), { hidden: true });
    let rows = [];
    let next = null;
    let which = {};
    let deep = false; // somebody reads further down: what is new does not push it away

    const show = (fresh) =>
      view.load(body, async () => {
        const only = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()]));
        keep("generations", { ...only, ...time.kept() });
        if (fresh) which = { ...only, ...time.which() }; // the pages that follow are of the same time
        const page = await get("/admin/usage", { ...which, limit: PAGE, cursor: fresh ? null : next }, view.signal);
        const names = await keyNames(page.data.map((one) => one.key_id), view.signal);
        rows = fresh ? page.data : [...rows, ...page.data];
        deep = !fresh;
        next = page.next_cursor;
        more.hidden = next === null;
        return records(rows, { names, narrowed: Object.values(which).some(Boolean) });
      });
    form.addEventListener("change", () => show(true));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      show(true);
    });
    view.actions.append(find);
    view.body.append(form, body, more);
    await show(true);
    const renew = () => !deep && show(true);
    if (isLive()) {
      let soon = null;
      listen(["request"], () => {
        soon ??= setTimeout(() => {
          soon = null;
          if (!view.signal.aborted) renew();
        }, 1000);
      }, { signal: view.signal });
    }
    every(isLive() ? 15 : 5, renew, view.signal);
  },
};

function text(value, placeholder = "any") {
  return h("input", { value: value ?? "", placeholder, autocomplete: "off", spellcheck: "false" });
}
