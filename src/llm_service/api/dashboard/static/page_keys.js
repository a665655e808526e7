// Api keys: who may ask, for what, how much. A secret is shown once, by what made it.

import { ask, get, may } from "./api.js";
import { badge, button, field, h, select, shortName } from "./dom.js";
import { dialog, formDialog, sure } from "./dialog.js";
import * as format from "./format.js";
import { keep, to } from "./router.js";
import { table } from "./table.js";
import { complain, toast } from "./toast.js";

const TONES = { active: "good", expired: "warn", revoked: "plain" };
const PERIODS = ["hour", "day", "week", "month", "total"];
const SCOPES = { inference: "Ask models", read: "Read usage and descriptions", admin: "Administrate" };

export default {
  title: "Keys",
  lead: "Who may ask, for what, and how much.",
  needs: ["GET /admin/keys"],

  async open(view) {
    const words = h("input", { type: "search", placeholder: "name, user or id", autocomplete: "off", spellcheck: "false", value: view.query.find ?? "" });
    const find = h("form", { class: "filters" }, field("Find", words), h("button", { type: "submit", class: "button" }, "Find"));
    const body = h("section", { class: "panel flush", "aria-label": "Api keys" });
    const more = button("Show more", () => show(next), { hidden: true });
    const sorted = {};
    let rows = [];
    let next = null;
    const show = (cursor = null) =>
      view.load(body, async () => {
        const wanted = words.value.trim();
        keep("keys", { find: wanted });
        const page = await get("/admin/keys", { order: "newest", find: wanted, limit: 100, cursor }, view.signal);
        rows = cursor === null ? page.data : [...rows, ...page.data];
        next = page.next_cursor;
        more.hidden = next === null;
        const nothing = wanted ? ["No key fits", "Another word?"] : ["No keys yet", "Create one for each application: what it uses and costs is counted by key."];
        return table("Api keys", columns(() => show()), { rows, kept: sorted, nothing });
      });
    find.addEventListener("submit", (event) => {
      event.preventDefault();
      show();
    });
    words.addEventListener("search", () => show()); // its cross was pressed
    if (may("POST /admin/keys")) view.actions.append(button("Create a key", () => create(show), { kind: "primary" }));
    view.body.append(find, body, more);
    await show();
  },
};

function columns(show) {
  return [
    { label: "Key", cell: (one) => h("span", { class: "two" }, shortName(one.name, "strong"), h("code", { title: one.id }, format.briefly(one.id))), sort: (one) => one.name, wide: true },
    { label: "Status", cell: (one) => badge(one.status, TONES[one.status]), sort: (one) => one.status },
    { label: "User", cell: (one) => shortName(one.user), sort: (one) => one.user },
    { label: "Scopes", cell: (one) => one.scopes.join(", ") },
    { label: "Limits", cell: limits },
    { label: "Models", cell: (one) => (one.models === null ? "all" : h("span", { title: one.models.join(", ") }, format.plural(one.models.length, "name"))) },
    { label: "Created", cell: (one) => h("span", { title: format.moment(one.created_at) }, format.ago(one.created_at)), sort: (one) => one.created_at },
    { label: "", cell: (one) => actions(one, show) },
  ];
}

function limits(key) {
  const said = [
    key.budget_usd !== null && `${format.usd(key.budget_usd)} ${key.budget_period === "total" ? "in all" : `a ${key.budget_period}`}`,
    key.requests_per_minute !== null && `${format.short(key.requests_per_minute)} req/min`,
    key.tokens_per_minute !== null && `${format.short(key.tokens_per_minute)} tok/min`,
    key.concurrent_requests !== null && `${format.count(key.concurrent_requests)} at once`,
  ].filter(Boolean);
  if (said.length === 0) return h("span", { class: "note" }, "none of its own");
  return h("span", { class: "two" }, said.map((one) => h("span", null, one)));
}

function actions(key, show) {
  const of = (what) => ({ "aria-label": `${what} ${key.name}` });
  const state = h("a", { class: "button small", href: to("limits", "", { key_id: key.id }), ...of("State of") }, "State");
  if (key.status === "revoked" || !may("PATCH /admin/keys/{id}")) return h("span", { class: "row-actions" }, key.status === "revoked" ? null : state);
  return h(
    "span",
    { class: "row-actions" },
    state,
    button("Edit", () => edit(key, show), { kind: "small", ...of("Edit") }),
    button("Rotate", () => rotate(key, show), { kind: "small", ...of("Rotate") }),
    button("Revoke", () => revoke(key, show), { kind: "small danger-plain", ...of("Revoke") }),
  );
}

// -- the form

function fields(key = {}) {
  const number = (name, props) => h("input", { name, type: "number", min: "1", inputmode: "numeric", value: key[name] ?? "", placeholder: "no limit", ...props });
  const scopes = h(
    "fieldset",
    { class: "field" },
    h("legend", null, "Scopes"),
    Object.entries(SCOPES).map(([scope, label]) => h("label", { class: "check" }, h("input", { type: "checkbox", name: "scopes", value: scope, checked: (key.scopes ?? ["inference"]).includes(scope) }), h("span", null, h("code", null, scope), ` ${label}`))),
  );
  return [
    field("Name", h("input", { name: "name", value: key.name ?? "", required: true, maxlength: "256", autocomplete: "off" }), "What the key is for."),
    h(
      "div",
      { class: "pair" },
      field("User", h("input", { name: "user", value: key.user ?? "", placeholder: "nobody in particular", autocomplete: "off" })),
      field("Expires", h("input", { name: "expires_at", type: "datetime-local", value: key.expires_at ? local(key.expires_at) : "" })),
    ),
    h("div", { class: "pair" }, field("Requests per minute", number("requests_per_minute")), field("Tokens per minute", number("tokens_per_minute"))),
    h(
      "div",
      { class: "pair three" },
      field("Requests at once", number("concurrent_requests")),
      field("Budget (US dollars)", h("input", { name: "budget_usd", inputmode: "decimal", value: key.budget_usd ?? "", placeholder: "no budget", autocomplete: "off" })),
      field("in a", select(PERIODS, key.budget_period ?? "month", { name: "budget_period" })),
    ),
    field("Models", h("input", { name: "models", value: (key.models ?? []).join(", "), placeholder: "all", autocomplete: "off", spellcheck: "false" }), "Names, or patterns that end in *, separated by commas."),
    scopes,
  ];
}

const local = (text) => {
  const moment = new Date(text);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

/** What the form says; without a value, null. */
function bodyOf(form) {
  const text = (name) => form.get(name)?.trim() || null;
  const number = (name) => (text(name) === null ? null : Number(text(name)));
  const models = (text("models") ?? "").split(",").map((one) => one.trim()).filter(Boolean);
  return {
    name: text("name"),
    user: text("user"),
    expires_at: text("expires_at") === null ? null : new Date(text("expires_at")).toISOString(),
    requests_per_minute: number("requests_per_minute"),
    tokens_per_minute: number("tokens_per_minute"),
    concurrent_requests: number("concurrent_requests"),
    budget_usd: text("budget_usd"),
    budget_period: text("budget_period"),
    models: models.length ? models : null,
    scopes: form.getAll("scopes"),
  };
}

async function create(show) {
  const made = await formDialog("Create a key", fields(), "Create", async (form) => {
    const body = Object.fromEntries(Object.entries(bodyOf(form)).filter(([, value]) => value !== null));
    if (body.name === undefined) throw Object.assign(new Error("Give the key a name: what it is for."), { param: "name" });
    return ask("POST", "/admin/keys", { body });
  });
  if (made === null) return;
  await secret(made, "The key is made");
  await show();
}

async function edit(key, show) {
  const changed = await formDialog(`Edit ${key.name}`, [h("code", { class: "note" }, key.id), ...fields(key)], "Save", async (form) => {
    const body = bodyOf(form);
    const same = (name) => JSON.stringify(body[name]) === JSON.stringify(key[name]) || (name === "expires_at" && body[name] !== null && key[name] !== null && local(body[name]) === local(key[name]));
    const changes = Object.fromEntries(Object.entries(body).filter(([name]) => !same(name)));
    if (Object.keys(changes).length === 0) return key;
    return ask("PATCH", `/admin/keys/${key.id}`, { body: changes });
  });
  if (changed === null) return;
  toast(`${changed.name} is saved; it holds everywhere within a second.`, "good");
  await show();
}

async function rotate(key, show) {
  const overlap = select([["86400", "a day"], ["3600", "an hour"], ["300", "five minutes"], ["0", "no time at all"]], "86400", { name: "overlap_s" });
  const made = await formDialog(
    `Rotate ${key.name}`,
    [h("p", null, "The key gets a new secret. The former one goes on working for a while, so that applications can change over."), field("The former secret works for", overlap)],
    "Rotate",
    (form) => ask("POST", `/admin/keys/${key.id}/rotate`, { body: { overlap_s: Number(form.get("overlap_s")) } }),
  );
  if (made === null) return;
  await secret(made, "The new secret");
  await show();
}

async function revoke(key, show) {
  if (!(await sure(`Revoke ${key.name}?`, "Who shows it is refused within a second, and what runs under it ends. This cannot be taken back.", "Revoke", { danger: true }))) return;
  try {
    await ask("DELETE", `/admin/keys/${key.id}`);
    toast(`${key.name} is revoked.`, "good");
    await show();
  } catch (error) {
    complain(error);
  }
}

async function secret(made, title) {
  await dialog(title, (close) => {
    const shown = h("input", { class: "secret", readonly: true, value: made.key, "aria-label": "The secret", on: { focus: (event) => event.target.select() } });
    const copied = h("span", { class: "note", role: "status" });
    const copy = button("Copy", async () => {
      shown.select();
      try {
        await navigator.clipboard.writeText(made.key);
        copied.textContent = "Copied.";
      } catch {
        copied.textContent = "Select and copy it by hand: this browser does not let a page do that.";
      }
    }, { kind: "primary" });
    queueMicrotask(() => shown.closest("dialog").setAttribute("data-stays", ""));
    return [
      h("p", null, `This is the secret of “${made.name}”. It is shown this once: keep it where you keep passwords.`),
      h("div", { class: "copy" }, shown, copy),
      copied,
      h("div", { class: "dialog-actions" }, button("I have kept it", () => close(true))),
    ];
  });
}
