// The response cache: how full it is, what it saved, and how it is made to forget.

import { ask, get, may } from "./api.js";
import { empty, facts, field, h, longName, meter, panel, select, tile, tiles } from "./dom.js";
import { sure } from "./dialog.js";
import * as format from "./format.js";
import { table } from "./table.js";
import { complain, toast } from "./toast.js";

const SPANS = { 3600: "Last hour", 86400: "Last 24 hours", 604800: "Last 7 days", 2592000: "Last 30 days" };
const STATUSES = {
  hit: "Given again",
  semantic: "Alike in meaning",
  coalesced: "Joined one in flight",
  replay: "Replayed",
  stale: "Given though old",
  miss: "Asked for",
  bypass: "Passed by",
};
// What a purge can be told: the service's name, what a person calls it, and an example.
const SELECTORS = {
  model: ["Model", "deepseek/deepseek-flash"],
  key_id: ["Key", "key_…"],
  user: ["User", "team-a"],
  tag: ["Tag", "project=alpha"],
  digest: ["One answer, by its digest", "64 hexadecimal digits"],
  all: ["Everything", ""],
};

export default {
  title: "Cache",
  lead: "Answers that are kept and given again.",
  needs: ["GET /admin/cache"],

  async open(view) {
    const span = select(Object.entries(SPANS), "86400", { "aria-label": "Period" });
    const body = h("div", { class: "stack" });
    view.actions.append(span);
    const show = () => view.load(body, () => stats(view, Number(span.value)));
    span.addEventListener("change", show);
    view.body.append(body, ...(may("DELETE /admin/cache") ? [purge(show)] : []));
    await show();
  },
};

async function stats(view, spanS) {
  const since = new Date(Date.now() - spanS * 1000).toISOString();
  const told = await get("/admin/cache", { since, by: "model" }, view.signal);
  const { store, total, semantic } = told;
  const full = store.max_bytes ? store.bytes / store.max_bytes : 0;
  return [
    tiles(
      tile("Hit ratio", format.percent(total.hit_ratio), `${format.count(total.hits)} of ${format.plural(total.requests, "request")}`),
      tile("Saved", format.usd(total.saved_usd), "what hits had cost"),
      tile("Answers kept", format.short(store.entries), `in this ${told.reach}`),
      tile("Room used", format.percent(full), h("span", null, meter(full, `${format.percent(full)} used`), `${format.bytes(store.bytes)} of ${format.bytes(store.max_bytes)}`)),
      tile("Made room", format.short(store.evictions), `${format.count(store.too_large)} too large to keep`),
    ),
    h("div", { class: "columns" }, panel("What became of requests", {}, total.requests === 0 ? empty("No requests in this period", "") : shares(total)), panel("By model", {}, byModel(told.data))),
    semantic && panel("By meaning", {}, facts([["Mode", semantic.mode], ["Threshold", String(semantic.threshold)], ["Questions kept", format.count(semantic.entries)], ["Compared", format.count(semantic.searched)], ["Alike", format.count(semantic.alike)], ["Served", format.count(semantic.served)], ["False hits", semantic.judged ? `${format.count(semantic.false_hits)} of ${format.count(semantic.judged)} judged` : null]])),
  ];
}

function shares(total) {
  const rows = Object.entries(STATUSES).map(([status, label]) => [label, total.by_status[status] ?? 0]);
  return h(
    "ul",
    { class: "shares" },
    rows.map(([label, amount]) => {
      const share = amount / total.requests;
      return h("li", null, h("span", { class: "share-label" }, label), meterOf(share, label), h("span", { class: "share-value" }, format.count(amount)), h("span", { class: "share-note" }, format.percent(share)));
    }),
  );
}

function meterOf(share, label) {
  const bar = h("span", { class: "meter-bar" });
  bar.style.width = `${share * 100}%`;
  return h("span", { class: "meter", role: "img", "aria-label": `${label}: ${format.percent(share)}` }, bar);
}

function byModel(rows) {
  return table(
    "The cache by model",
    [
      { label: "Model", cell: (one) => longName(one.model), sort: (one) => one.model, wide: true },
      { label: "Requests", cell: (one) => format.count(one.requests), sort: (one) => one.requests, end: true },
      { label: "Hit ratio", cell: (one) => format.percent(one.hit_ratio), sort: (one) => one.hit_ratio, end: true },
      { label: "Saved", cell: (one) => format.usd(one.saved_usd), sort: (one) => Number(one.saved_usd), end: true },
    ],
    { rows, order: [1, true], nothing: ["No requests in this period", ""] },
  );
}

function purge(show) {
  const by = select(Object.entries(SELECTORS).map(([name, [label]]) => [name, label]), "model", { name: "by" });
  const value = h("input", { name: "value", autocomplete: "off", spellcheck: "false", placeholder: SELECTORS.model[1] });
  const older = h("input", { name: "older", type: "number", min: "0", inputmode: "numeric", placeholder: "any age" });
  const valueField = field("Which", value);
  const olderField = field("Older than (seconds)", older);
  const form = h(
    "form",
    { class: "filters", novalidate: true },
    field("Forget by", by),
    valueField,
    olderField,
    h("button", { type: "submit", class: "button danger" }, "Forget"),
  );
  by.addEventListener("change", () => {
    olderField.hidden = by.value === "digest"; // which names one answer, whatever its age
    valueField.hidden = by.value === "all";
    value.placeholder = SELECTORS[by.value][1];
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const named = value.value.trim();
    if (by.value !== "all" && !named) {
      toast("Say which answers are to be forgotten.", "bad");
      value.focus();
      return;
    }
    const which = by.value === "all" ? "every kept answer" : `the answers of ${SELECTORS[by.value][0].toLowerCase()} ${named}`;
    const aged = by.value === "digest" ? "" : older.value;
    const age = aged ? ` older than ${format.duration(Number(aged))}` : "";
    if (!(await sure("Forget answers?", `This forgets ${which}${age}. Whoever asks again pays for a new answer.`, "Forget", { danger: true }))) return;
    try {
      const { purged } = await ask("DELETE", "/admin/cache", { query: { [by.value]: by.value === "all" ? "true" : named, older_than_s: aged } });
      toast(`${format.plural(purged, "answer")} forgotten.`, "good");
      await show();
    } catch (error) {
      complain(error);
    }
  });
  return panel("Forget answers", { note: "No request that comes afterwards gets one of them, from any process." }, form);
}
