// Where limits and budgets stand now.

import { get, may } from "./api.js";
import { badge, field, h, meter, panel, select, shortName } from "./dom.js";
import * as format from "./format.js";
import { every } from "./live.js";
import { keep } from "./router.js";
import { table } from "./table.js";

const KINDS = { requests: "Requests", tokens: "Tokens", concurrency: "At once", concurrent: "At once", money: "Budget" };
const amount = (row, value) => (row.kind === "money" ? format.usd(value) : format.count(value));
const spanOf = (row) => (row.kind === "money" ? (row.period === "total" ? "in all" : `a ${row.period}`) : row.window_s ? `in ${row.window_s} s` : "at a time");

export default {
  title: "Limits and budgets",
  short: "Limits",
  lead: "Where the limits stand at this moment; nothing is taken from them by looking.",
  needs: ["GET /admin/limits"],

  async open(view) {
    const body = h("div");
    const subject = select([["", "The whole service"], ["key_id", "One key"], ["user", "One user"]], view.query.key_id ? "key_id" : view.query.user ? "user" : "");
    const name = h("input", { autocomplete: "off", spellcheck: "false", value: view.query.key_id ?? view.query.user ?? "", list: "limit-keys" });
    const keys = h("datalist", { id: "limit-keys" });
    const nameField = field("Which", name);
    const choose = () => {
      nameField.hidden = subject.value === "";
      name.placeholder = subject.value === "key_id" ? "key_…" : "team-a";
    };
    const sorted = {};
    let which = {}; // what was asked for, whatever is typed meanwhile
    const renew = () => view.load(body, () => standings(view, which, sorted));
    const show = () => {
      if (subject.value !== "" && name.value.trim() === "") return null;
      which = subject.value ? { [subject.value]: name.value.trim() } : {};
      keep("limits", which);
      return renew();
    };
    const form = h("form", { class: "filters" }, field("Limits of", subject), nameField, keys, h("button", { type: "submit", class: "button" }, "Show"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      show();
    });
    subject.addEventListener("change", () => {
      choose();
      if (subject.value === "") show();
      else name.focus();
    });
    choose();
    view.body.append(form, body);
    const offer = () => {
      if (subject.value !== "key_id" || !may("GET /admin/keys")) return;
      get("/admin/keys", { order: "newest", find: name.value.trim(), limit: 50 }, view.signal).then(
        ({ data }) => keys.replaceChildren(...data.map((one) => h("option", { value: one.id }, one.name))),
        () => null, // the field takes what is typed all the same
      );
    };
    let soon = null;
    name.addEventListener("input", () => {
      clearTimeout(soon);
      soon = setTimeout(offer, 250);
    });
    name.addEventListener("focus", offer);
    await show();
    every(5, renew, view.signal);
  },
};

async function standings(view, which, kept) {
  const told = await get("/admin/limits", which, view.signal);
  const nobody = Object.keys(which).length === 0 ? "Set them under `limits:` in the configuration, or for a single key on the page Keys." : "Neither the configuration nor the key sets one.";
  const list = table(
    "Limits",
    [
      { label: "Of", cell: (one) => h("span", { class: "two" }, h("strong", null, one.scope.replaceAll("_", " ")), one.subject ? shortName(one.subject, "code") : null), sort: (one) => `${one.scope} ${one.subject ?? ""}` },
      { label: "What", cell: (one) => KINDS[one.kind] ?? one.kind, sort: (one) => one.kind },
      { label: "Used", cell: use, sort: share, wide: true },
      { label: "Reserved", cell: (one) => amount(one, one.reserved), end: true },
      { label: "Left", cell: (one) => amount(one, one.remaining), end: true },
      { label: "Limit", cell: (one) => h("span", { class: "two end" }, h("strong", null, amount(one, one.limit)), h("span", { class: "note" }, spanOf(one))), end: true },
      { label: "Begins anew", cell: (one) => (one.resets_at ? h("span", { title: format.moment(one.resets_at) }, format.ago(one.resets_at)) : "–") },
    ],
    { rows: told.data, kept, nothing: ["No limits here", nobody] },
  );
  return [
    told.stands_in ? h("div", { class: "banner warn" }, h("span", null, h("strong", null, "The shared store is away."), " Each process holds the limits by itself meanwhile.")) : null,
    panel("Now", { actions: [badge(`counted for the ${told.reach}`)] }, list),
  ];
}

function share(row) {
  if (row.used === null) return null;
  const limit = Number(row.limit);
  return limit > 0 ? (Number(row.used) + Number(row.reserved ?? 0)) / limit : 1;
}

function use(row) {
  const part = share(row);
  if (part === null) return h("span", { class: "note" }, "not asked for yet");
  return h("span", { class: "use" }, meter(part, `${format.percent(part)} used`), h("span", null, `${amount(row, row.used)} · ${format.percent(part)}`));
}

