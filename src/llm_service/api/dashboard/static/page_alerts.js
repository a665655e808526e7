// What fires, what is about to, what did, and what is to be silent.

import { ask, get, may } from "./api.js";
import { badge, button, empty, field, h, panel, said, select } from "./dom.js";
import { formDialog, sure } from "./dialog.js";
import * as format from "./format.js";
import { every, isLive, listen } from "./live.js";
import { table } from "./table.js";
import { complain, toast } from "./toast.js";

const OFFER = "GET /admin/alerts";
const TONES = { critical: "bad", warning: "warn", info: "plain" };
const SPANS = [["1800", "30 minutes"], ["7200", "2 hours"], ["28800", "8 hours"], ["86400", "a day"], ["604800", "a week"]];
const labelsOf = (labels) => Object.entries(labels ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");
const toneOf = (alert) => (alert.state === "firing" ? TONES[alert.severity] : "plain");

/** What fires now, for the top of other pages; nothing where the service has no alerts. */
export async function firing(signal) {
  if (!may(OFFER)) return [];
  try {
    const alerts = (await get("/admin/alerts", {}, signal)).data.filter((one) => one.state === "firing");
    if (alerts.length === 0) return [];
    const worst = alerts.some((one) => one.severity === "critical") ? "bad" : "warn";
    const of = (one) => (labelsOf(one.labels) ? `${one.rule} (${labelsOf(one.labels)})` : one.rule);
    const summary = alerts.length === 1 ? alerts[0].summary : alerts.slice(0, 4).map(of).join(", ") + (alerts.length > 4 ? " …" : "");
    const head = `${format.plural(alerts.length, "alert")} ${alerts.length === 1 ? "fires" : "fire"}: `;
    return [h("div", { class: `banner ${worst}` }, h("span", null, h("strong", null, head), said(summary)), h("a", { href: "#/alerts" }, "Show"))];
  } catch (error) {
    if (error.name === "AbortError") return [];
    return [h("div", { class: "banner warn" }, `Alerts cannot be read: ${error.message}`)];
  }
}

export default {
  title: "Alerts",
  lead: "What fires, what is about to, and what did.",
  needs: [],

  async open(view) {
    if (!may(OFFER)) {
      view.body.append(empty("No alerts here", "This service watches no rules, or your key may not see them."));
      return;
    }
    const [now, rules, quiet, past] = [h("div"), h("div"), h("div"), h("div")];
    const sorted = {};
    const silences = may("GET /admin/alerts/silences");
    const history = may("GET /admin/alerts/history");
    view.body.append(
      panel("Now", {}, now),
      ...(silences ? [panel("Silences", {}, quiet)] : []),
      ...(history ? [panel("History", {}, past)] : []),
      panel("Rules", { note: "Set under `alerts:` in the configuration." }, rules),
    );
    const show = () => {
      view.load(now, async () => {
        const told = await get("/admin/alerts", {}, view.signal);
        if (history) view.load(past, async () => historyTable((await get("/admin/alerts/history", { limit: 100 }, view.signal)).data, told.rules));
        view.load(rules, async () => rulesTable(told.rules, sorted));
        return [
          told.alone ? h("div", { class: "banner warn" }, "The database is away: this machine looks at its own figures alone.") : null,
          nowTable(told, show),
        ];
      });
      if (silences) view.load(quiet, async () => silenceTable((await get("/admin/alerts/silences", {}, view.signal)).data, show));
    };
    if (may("POST /admin/alerts/silences")) view.actions.append(button("Silence …", () => silence(null, show)));
    show();
    if (isLive()) listen(["alert"], show, { signal: view.signal });
    every(isLive() ? 15 : 5, show, view.signal);
  },
};

const named = (one) => h("span", { class: "two" }, h("strong", null, one.rule), h("span", { class: "note" }, said(one.summary)));
const burns = (rule) => rule.kind === "availability" || (rule.kind === "latency" && !rule.goes_by?.quantile);

/** What a rule measures, in its unit. */
function measured(rule, value) {
  if (typeof value !== "number") return "–";
  if (rule === undefined) return format.figure(value);
  if (burns(rule)) return `${format.figure(value)}×`;
  return bound(rule.kind, value);
}

/** What a rule compares with, in its unit. */
function bound(kind, value) {
  if (["error_ratio", "budget_share", "cache_hit_ratio"].includes(kind)) return format.percent(value);
  if (["cost_per_hour", "cost_per_day", "balance_low", "limit_drift"].includes(kind)) return format.usd(value);
  if (["latency", "ledger_backlog"].includes(kind)) return format.seconds(value);
  return format.figure(value);
}

function nowTable({ data, looked_at, rules }, show) {
  const ruleOf = (one) => rules.find((rule) => rule.name === one.rule);
  return table(
    "Alerts now",
    [
      { label: "Alert", cell: named, wide: true },
      { label: "State", cell: (one) => h("span", { class: "badges" }, badge(one.state, toneOf(one)), one.silenced_by.length ? badge("silenced") : null) },
      { label: "Severity", cell: (one) => one.severity },
      { label: "Of", cell: (one) => h("code", null, labelsOf(one.labels) || "–") },
      { label: "Value", cell: (one) => measured(ruleOf(one), one.value), end: true },
      { label: "Since", cell: (one) => h("span", { title: format.moment(one.since) }, format.ago(one.since)) },
      { label: "", cell: (one) => (may("POST /admin/alerts/silences") ? button("Silence", () => silence(one, show), { kind: "small", "aria-label": `Silence ${one.rule}` }) : null) },
    ],
    { rows: data, nothing: ["Nothing fires", looked_at ? `The rules were looked at ${format.ago(looked_at)}.` : "The rules have not been looked at yet."] },
  );
}

/** What a rule goes by: "above 0.5, window 5 min". */
function terms({ kind, goes_by: goesBy }) {
  const written = ([name, value]) => {
    const label = name.replace(/_s$/, "").replaceAll("_", " ");
    if (name === "burn") return value.map((one) => `${one.factor}× in ${format.duration(one.short_s)} and ${format.duration(one.long_s)}`).join(" or ");
    if (Array.isArray(value)) return value.length ? `${label} ${value.join(", ")}` : null;
    if (value === null) return null;
    if (name === "above" || name === "below") return `${label} ${bound(kind, value)}${kind === "cache_hit_ratio" ? " of the usual" : ""}`;
    if (name === "objective") return `${label} ${format.percent(value)}`;
    return `${label} ${name.endsWith("_s") ? format.duration(value) : String(value).replaceAll("_", " ")}`;
  };
  return Object.entries(goesBy ?? {}).map(written).filter(Boolean).join(", ");
}

function rulesTable(rows, kept) {
  return table(
    "Rules",
    [
      { label: "Rule", cell: (one) => one.name, sort: (one) => one.name },
      { label: "State", cell: (one) => badge(one.state, toneOf(one)), sort: (one) => one.state },
      { label: "Severity", cell: (one) => one.severity, sort: (one) => one.severity },
      { label: "Goes by", cell: (one) => h("span", { class: "two" }, h("span", null, one.kind.replaceAll("_", " ")), h("span", { class: "note" }, terms(one))), wide: true },
      { label: "For", cell: (one) => (one.for_s ? format.duration(one.for_s) : "at once"), end: true },
      { label: "Tells", cell: (one) => one.notify.join(", ") || "nobody" },
    ],
    { rows, kept, nothing: ["No rules", "Write some under `alerts:` in the configuration."] },
  );
}

function historyTable(rows, rules) {
  const ruleOf = (one) => rules.find((rule) => rule.name === one.rule);
  const tone = (one) => ({ firing: TONES[one.severity] ?? "warn", resolved: "good", failed: "bad" })[one.happened] ?? "plain";
  const came = (one) => one.error ?? one.summary ?? (one.notifier ? `told ${one.notifier} of ${one.rules.join(", ")}` : "");
  return table(
    "What happened",
    [
      { label: "When", cell: (one) => format.moment(one.at) },
      { label: "Alert", cell: (one) => named({ ...one, rule: one.rule === "*" ? "several" : one.rule, summary: came(one) }), wide: true },
      { label: "What", cell: (one) => badge(one.happened, tone(one)) },
      { label: "Of", cell: (one) => h("code", null, (one.notifier ? "" : labelsOf(one.labels)) || "–") },
      { label: "Value", cell: (one) => measured(ruleOf(one), one.value), end: true },
    ],
    { rows, nothing: ["Nothing happened yet", ""] },
  );
}

function silenceTable(rows, show) {
  const over = (one) => one.state === "expired";
  const conditions = (one) => one.matchers.map((matcher) => `${matcher.name} ${matcher.operator} ${matcher.value}`).join(", ");
  return table(
    "Silences",
    [
      { label: "Of", cell: (one) => h("code", null, conditions(one)), wide: true },
      { label: "Why", cell: (one) => one.comment || "–" },
      { label: "By", cell: (one) => one.created_by || "–" },
      { label: "State", cell: (one) => badge(one.state) },
      { label: "Until", cell: (one) => format.moment(one.ends_at) },
      { label: "", cell: (one) => (!over(one) && may("DELETE /admin/alerts/silences/{id}") ? button("End", () => end(one, show), { kind: "small", "aria-label": `End the silence of ${conditions(one)}` }) : null) },
    ],
    { rows: rows.filter((one) => !over(one)), nothing: ["Nothing is silenced", ""] },
  );
}

async function silence(alert, show) {
  const labels = Object.entries(alert?.labels ?? {}).map(([name, text]) => ({ name, value: text }));
  const made = await formDialog(
    alert === null ? "Silence alerts" : `Silence ${alert.rule}`,
    [
      h("p", null, labels.length ? `Nobody is told of this rule for ${labelsOf(alert.labels)} meanwhile.` : "Nobody is told of this rule meanwhile; it is looked at all the same."),
      field("Rule", h("input", { name: "rule", value: alert?.rule ?? "", required: true, autocomplete: "off" })),
      field("For", select(SPANS, "7200", { name: "duration_s" })),
      field("Why", h("input", { name: "comment", autocomplete: "off", placeholder: "maintenance" })),
    ],
    "Silence",
    (form) =>
      ask("POST", "/admin/alerts/silences", {
        body: {
          matchers: [{ name: "rule", value: form.get("rule").trim() }, ...labels],
          duration_s: Number(form.get("duration_s")),
          comment: form.get("comment").trim(),
        },
      }),
  );
  if (made === null) return;
  toast("Silenced: nobody is told meanwhile.", "good");
  show();
}

async function end(one, show) {
  if (!(await sure("End the silence?", "Whoever is to be told of these alerts is told again.", "End it"))) return;
  try {
    await ask("DELETE", `/admin/alerts/silences/${encodeURIComponent(one.id)}`);
    show();
  } catch (error) {
    complain(error);
  }
}
