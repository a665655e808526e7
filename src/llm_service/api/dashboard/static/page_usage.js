// What was used and what it cost, by any dimension that the service sums by.

import { get, keyNames, link, may } from "./api.js";
import { chart } from "./chart.js";
import { field, h, longName, panel, select, tile, tiles } from "./dom.js";
import * as format from "./format.js";
import { period } from "./period.js";
import { keep } from "./router.js";
import { table } from "./table.js";

const GROUPS = { model: "Model", provider: "Provider", key: "Key", user: "User", tag: "Tag", surface: "Surface", status: "Status", cache: "Cache", hour: "Hour", day: "Day" };
const FILTERS = { model: "Model", provider: "Provider", key_id: "Key", user: "User", tag: "Tag (name=value)" };
const MOST_BARS = 1000;
const MOST_GROUPS = 500;
const SUMS = ["requests", "errors", "hits", "input_tokens", "output_tokens"];

export default {
  title: "Usage and cost",
  lead: "Every request has one record; these are their sums. Times are UTC where days begin.",
  needs: ["GET /admin/usage/summary"],

  async open(view) {
    const asked = view.query;
    const time = period(asked, { chosen: "86400" });
    const by = select(Object.entries(GROUPS), asked.by ?? "model");
    const and = select([["", "nothing more"], ...Object.entries(GROUPS)], asked.and ?? "");
    const filters = Object.fromEntries(Object.entries(FILTERS).map(([name]) => [name, h("input", { value: asked[name] ?? "", placeholder: "all", autocomplete: "off", spellcheck: "false" })]));
    const file = h("a", { class: "button", download: "usage.csv" }, "Download CSV");
    const body = h("div", { class: "stack" });

    const form = h(
      "form",
      { class: "filters" },
      time.fields,
      field("By", by),
      field("and", and),
      h("details", { class: "more", open: Object.keys(FILTERS).some((name) => asked[name]) }, h("summary", null, "Only …"), h("div", { class: "filters" }, Object.entries(FILTERS).map(([name, label]) => field(label, filters[name])))),
    );

    const only = () => Object.fromEntries(Object.entries(filters).map(([name, input]) => [name, input.value.trim()]));

    const show = () => {
      const which = { ...only(), ...time.which() };
      const groups = [...new Set([by.value, and.value].filter(Boolean))];
      keep("usage", { by: by.value, and: and.value, ...time.kept(), ...only() });
      file.href = link("/admin/usage/export", { ...which, format: "csv" });
      return view.load(body, () => report(view, which, groups));
    };
    form.addEventListener("change", show);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      show();
    });
    if (may("GET /admin/usage/export")) view.actions.append(file);
    view.body.append(form, body);
    await show();
  },
};

async function report(view, which, groups) {
  const hours = !which.since || new Date(which.until || Date.now()) - new Date(which.since) > 4 * 86_400_000 ? "day" : "hour";
  const [{ data: all }, { data: totals }, over] = await Promise.all([
    get("/admin/usage/summary", { ...which, by: groups.join(",") }, view.signal),
    get("/admin/usage/summary", which, view.signal),
    get("/admin/usage/summary", { ...which, by: hours }, view.signal),
  ]);
  const data = [...all].sort((one, other) => other.cost_usd - one.cost_usd || other.requests - one.requests).slice(0, MOST_GROUPS);
  const names = groups.includes("key") ? await keyNames(data.map((row) => row.key), view.signal) : new Map();
  const total = totals[0] ?? { requests: 0, errors: 0, hits: 0, input_tokens: 0, output_tokens: 0, cost_usd: "0", saved_usd: "0", wasted_usd: "0" };
  return [
    tiles(
      tile("Cost", format.usd(total.cost_usd), total.requests ? `${format.usd(total.cost_usd / total.requests)} a request` : null),
      tile("Requests", h("span", { title: format.count(total.requests) }, format.short(total.requests)), `${format.plural(total.errors, "error")}`),
      tile("Tokens", format.short(total.input_tokens + total.output_tokens), `${format.short(total.input_tokens)} in, ${format.short(total.output_tokens)} out`),
      tile("Saved by the cache", format.usd(total.saved_usd), format.plural(total.hits, "hit")),
      tile("Wasted", format.usd(total.wasted_usd), "on attempts that failed"),
    ),
    overTime(over.data, hours, which),
    panel(`By ${groups.map((one) => GROUPS[one].toLowerCase()).join(" and ")}`, { note: data.length < all.length ? `The ${format.count(data.length)} that cost most, of ${format.count(all.length)}.` : null }, sums(data, groups, total, names)),
  ];
}

function overTime(rows, unit, which) {
  const step = unit === "hour" ? 3600 : 86_400;
  const found = new Map(rows.map((row) => [Math.floor(Date.parse(row[unit]) / 1000), row]));
  const first = which.since ? Date.parse(which.since) / 1000 : Math.min(...found.keys(), Date.now() / 1000);
  const last = which.until ? Date.parse(which.until) / 1000 : Date.now() / 1000;
  const at = [];
  const newest = Math.floor(last / step) * step;
  for (let moment = Math.max(Math.floor(first / step) * step, newest - (MOST_BARS - 1) * step); moment <= last; moment += step) at.push(moment);
  const costs = chart(`Cost by ${unit}`, [{ label: "Cost", ink: 4 }], { format: format.usd, bars: true });
  const requests = chart(`Requests by ${unit}`, [{ label: "Requests", ink: 1 }], { format: format.short, bars: true });
  costs.show(at, [at.map((moment) => Number(found.get(moment)?.cost_usd ?? 0))]);
  requests.show(at, [at.map((moment) => found.get(moment)?.requests ?? 0)]);
  return h("div", { class: "charts two-charts" }, costs, requests);
}

const shown = (group, value, names) => {
  if (value === null || value === undefined || value === "") return h("span", { class: "note" }, "none");
  if (group === "hour") return format.moment(value);
  if (group === "key") return h("span", { title: value }, names.get(value) ?? value);
  return longName(value);
};

function sums(rows, groups, total, names) {
  const whole = Number(total.cost_usd) || 0;
  const labels = { requests: "Requests", errors: "Errors", hits: "Hits", input_tokens: "Input tokens", output_tokens: "Output tokens" };
  return table(
    "Sums by group",
    [
      ...groups.map((group, at) => ({ label: GROUPS[group], cell: (row) => shown(group, row[group], names), sort: (row) => row[group], wide: at === 0 })),
      ...SUMS.map((name) => ({ label: labels[name], cell: (row) => h("span", { title: format.count(row[name]) }, format.short(row[name])), sort: (row) => row[name], end: true })),
      { label: "Cost", cell: (row) => h("span", { title: `${row.cost_usd} USD` }, format.usd(row.cost_usd)), sort: (row) => Number(row.cost_usd), end: true },
      { label: "Share", cell: (row) => format.percent(whole ? row.cost_usd / whole : null), sort: (row) => Number(row.cost_usd), end: true },
      { label: "Saved", cell: (row) => format.usd(row.saved_usd), sort: (row) => Number(row.saved_usd), end: true },
    ],
    { rows, order: [groups.length + SUMS.length, true], nothing: ["No requests in this period", "Another period, or fewer filters?"] },
  );
}
