// The settings in force, secrets masked.

import { ask, get, may } from "./api.js";
import { badge, button, field, h, panel, select } from "./dom.js";
import { formDialog, sure } from "./dialog.js";
import * as format from "./format.js";
import { complain, toast } from "./toast.js";

const LEVELS = ["debug", "info", "warning", "error"];

export default {
  title: "Configuration",
  lead: "The settings in force, defaults included; secrets are masked.",
  needs: ["GET /admin/config"],

  async open(view) {
    const words = h("input", { type: "search", placeholder: "cache, timeout …", autocomplete: "off" });
    const body = h("div", { class: "stack" });
    let level = "info";
    const show = () =>
      view.load(body, async () => {
        const told = await get("/admin/config", {}, view.signal);
        const { settings, overrides } = told;
        level = overrides.log_level?.level ?? settings.observability.log_level;
        const later = Object.entries(overrides.providers).map(([name, one]) => [name, one.state, one.since]);
        if (overrides.log_level) later.push(["Level of the log", level, overrides.log_level.since, overrides.log_level.until]);
        const groups = Object.entries(settings).map(([name, value]) => group(name, value));
        const find = () => {
          for (const one of groups) one.find(words.value.trim().toLowerCase());
        };
        words.oninput = find;
        find();
        return [later.length > 0 && decided(later), ...groups.map((one) => one.element)];
      });
    if (may("PATCH /admin/config")) view.actions.append(button("Log level …", () => logLevel(level, show)));
    if (may("POST /admin/config/reload")) {
      view.actions.append(
        button("Reload", async () => {
          if (!(await sure("Reload the settings?", "The file and the environment are read again and checked. They are put in force as a whole, or not at all; what runs ends on the settings it began with.", "Reload"))) return;
          try {
            const now = await ask("POST", "/admin/config/reload", { body: {} });
            toast(`Generation ${now.generation} of the settings is in force.`, "good");
            await show();
          } catch (error) {
            complain(error);
          }
        }),
      );
    }
    view.body.append(h("div", { class: "filters" }, field("Find", words)), body);
    await show();
  },
};

function decided(rows) {
  return panel(
    "Decided at run time",
    { note: "This holds in place of the settings until it is taken back." },
    h("ul", { class: "rows" }, rows.map(([name, holds, since, until]) => h("li", null, h("span", { class: "row-main" }, h("strong", null, name), h("span", { class: "note" }, spanOf(since, until))), badge(holds)))),
  );
}

const spanOf = (since, until) => [since && `since ${format.moment(since)}`, until && `until ${format.moment(until)}`].filter(Boolean).join(", ") || "until it is changed again";

async function logLevel(level, show) {
  const made = await formDialog(
    "Level of the log",
    [
      h("p", null, "It holds in every process within a second, in place of the configuration."),
      h(
        "div",
        { class: "pair" },
        field("Level", select([...LEVELS, ["", "as configured"]], level, { name: "log_level" })),
        field("For", select([["600", "10 minutes"], ["3600", "an hour"], ["86400", "a day"], ["", "good"]], "600", { name: "for_s" })),
      ),
    ],
    "Change",
    (form) => {
      const chosen = form.get("log_level") || null;
      const limited = chosen !== null && form.get("for_s") !== "";
      return ask("PATCH", "/admin/config", { body: { log_level: chosen, ...(limited ? { log_level_for_s: Number(form.get("for_s")) } : {}) } });
    },
  );
  if (made === null) return;
  toast("The level of the log is changed.", "good");
  await show();
}

function flat(value, path) {
  if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0) {
    return Object.entries(value).flatMap(([name, inner]) => flat(inner, [...path, name]));
  }
  return [[path, value]];
}

function text(value) {
  if (value === null) return h("span", { class: "note" }, "not set");
  if (value === "***") return h("span", { class: "note" }, "set, and masked");
  if (Array.isArray(value) && value.length === 0) return h("span", { class: "note" }, "none");
  if (typeof value === "object" && Object.keys(value).length === 0) return h("span", { class: "note" }, "none");
  return h("code", null, typeof value === "object" ? JSON.stringify(value, null, 2) : String(value));
}

function group(name, value) {
  const lines = flat(value, []).map(([path, inner]) => {
    const label = path.join(".") || name;
    const element = h("div", null, h("dt", null, h("code", null, label)), h("dd", null, text(inner)));
    return { element, words: `${name}.${label} ${JSON.stringify(inner)}`.toLowerCase() };
  });
  const element = panel(name, {}, h("dl", { class: "settings" }, lines.map((one) => one.element)));
  return {
    element,
    find(wanted) {
      for (const line of lines) line.element.hidden = !line.words.includes(wanted);
      element.hidden = lines.every((line) => line.element.hidden);
    },
  };
}
