// What fires, what is about to, what did, and what is to be silent.

import { ask, get, may } from "./api.js";
import { badge, button, empty, field, h, panel, select } from "./dom.js";
import { formDialog, sure } from "./dialog.js";
import * as format from "./format.js";
import { every, isLive, listen } from "./live.js";
import { table } from "./table.js";
import { complain, toast } from "./toast.js";

const OFFER = "GET /admin/alerts";
const TONES = { critical: "bad", warning: "warn", info: "plain" };
const nameOf = (alert) => alert.rule ?? alert.name;
const stateOf = (alert) => alert.state ?? alert.status;
const labelsOf = (alert) => Object.entries(alert.labels ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");

/** What fires now, for the top of other pages; nothing where the service has no alerts. */
export async function firing(signal) {
  if (!may(OFFER)) return [];
  try {
    const alerts = (await get("/admin/alerts", {}, signal)).data.filter((one) => stateOf(one) === "firing");
    if (alerts.length === 0) return [];
    const worst = alerts.some((one) => one.severity === "critical") ? "bad" : "warn";
    const said = alerts.slice(0, 3).map((one) => one.summary ?? nameOf(one)).join(" · ");
    return [
      h(
        "div",
        { class: `banner ${worst}` },
        h("span", null, h("strong", null, `${format.plural(alerts.length, "alert")} ${alerts.length === 1 ? "fires" : "fire"}: `), said),
        h("a", { href: "#/alerts" }, "Show"),
      ),
    ];
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
    const now = h("div");
    const quiet = h("div");
    const past = h("div");
    view.body.append(panel("Now", {}, now), may("GET /admin/alerts/silences") ? panel("Silences", {}, quiet) : "", may("GET /admin/alerts/history") ? panel("History", {}, past) : "");
    const showSilences = () => may("GET /admin/alerts/silences") && view.load(quiet, () => silences(view, show));
    const show = () => {
      view.load(now, () => active(view, show));
      showSilences();
      if (may("GET /admin/alerts/history")) view.load(past, () => history(view));
    };
    if (may("POST /admin/alerts/silences")) view.actions.append(button("Silence …", () => silence({}, show)));
    show();
    if (isLive()) listen(["alert"], show, { signal: view.signal });
    every(isLive() ? 30 : 10, show, view.signal);
  },
};

const summary = (one) => h("span", { class: "two" }, h("strong", null, nameOf(one)), h("span", { class: "note" }, one.summary ?? ""));

async function active(view, show) {
  const { data } = await get("/admin/alerts", {}, view.signal);
  const rank = { firing: 0, pending: 1 };
  const rows = data.filter((one) => stateOf(one) in rank).sort((one, other) => rank[stateOf(one)] - rank[stateOf(other)]);
  const tone = (one) => (stateOf(one) === "firing" ? (TONES[one.severity] ?? "warn") : "plain");
  return table(
    "Alerts now",
    [
      { label: "Alert", cell: summary, wide: true },
      { label: "State", cell: (one) => h("span", { class: "badges" }, badge(stateOf(one), tone(one)), one.silenced ? badge("silenced") : null) },
      { label: "Severity", cell: (one) => one.severity ?? "–" },
      { label: "Of", cell: (one) => h("code", null, labelsOf(one) || "–") },
      { label: "Value", cell: (one) => (typeof one.value === "number" ? format.figure(one.value) : "–"), end: true },
      { label: "Since", cell: (one) => h("span", { title: format.moment(one.since) }, format.ago(one.since)) },
      { label: "", cell: (one) => (may("POST /admin/alerts/silences") ? button("Silence", () => silence(one, show), { kind: "small", "aria-label": `Silence ${nameOf(one)}` }) : null) },
    ],
    { rows, nothing: ["Nothing fires", "All rules are content."] },
  );
}

async function history(view) {
  const { data } = await get("/admin/alerts/history", { limit: 100 }, view.signal);
  const tone = (one) => ({ firing: TONES[one.severity] ?? "warn", resolved: "good" })[stateOf(one) ?? one.event] ?? "plain";
  return table(
    "What happened",
    [
      { label: "When", cell: (one) => format.moment(one.at ?? one.since) },
      { label: "Alert", cell: summary, wide: true },
      { label: "What", cell: (one) => badge(stateOf(one) ?? one.event ?? "–", tone(one)) },
      { label: "Of", cell: (one) => h("code", null, labelsOf(one) || "–") },
      { label: "Value", cell: (one) => (typeof one.value === "number" ? format.figure(one.value) : "–"), end: true },
    ],
    { rows: data, nothing: ["Nothing happened yet", ""] },
  );
}

async function silences(view, show) {
  const { data } = await get("/admin/alerts/silences", {}, view.signal);
  return table(
    "Silences",
    [
      { label: "Of", cell: (one) => h("span", { class: "two" }, h("strong", null, one.rule ?? "every rule"), h("code", null, labelsOf(one))), wide: true },
      { label: "Why", cell: (one) => one.comment ?? one.reason ?? "–" },
      { label: "Until", cell: (one) => format.moment(one.until ?? one.ends_at) },
      { label: "", cell: (one) => (may("DELETE /admin/alerts/silences/{id}") ? button("End", () => end(one, show), { kind: "small" }) : null) },
    ],
    { rows: data, nothing: ["Nothing is silenced", ""] },
  );
}

async function silence(alert, show) {
  const made = await formDialog(
    "Silence alerts",
    [
      field("Rule", h("input", { name: "rule", value: nameOf(alert) ?? "", placeholder: "every rule", autocomplete: "off" })),
      field("For", select([["1800", "30 minutes"], ["7200", "2 hours"], ["28800", "8 hours"], ["86400", "a day"], ["604800", "a week"]], "7200", { name: "for" })),
      field("Why", h("input", { name: "comment", autocomplete: "off", placeholder: "maintenance" })),
    ],
    "Silence",
    (form) =>
      ask("POST", "/admin/alerts/silences", {
        body: {
          ...(form.get("rule").trim() ? { rule: form.get("rule").trim() } : {}),
          ...(Object.keys(alert.labels ?? {}).length ? { labels: alert.labels } : {}),
          until: new Date(Date.now() + Number(form.get("for")) * 1000).toISOString(),
          ...(form.get("comment").trim() ? { comment: form.get("comment").trim() } : {}),
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
