// What can be asked for, and what it costs.

import { get, may } from "./api.js";
import { field, h, select, shortName } from "./dom.js";
import * as format from "./format.js";
import { to } from "./router.js";
import { table } from "./table.js";

const price = (model, part) => model.pricing_usd_per_million?.[part];
const ORIGINS = { operator: "settings", provider: "its catalogue", table: "table" };
const source = ({ pricing_source: told }) => (told ? h("span", { title: told.date ? `The table of prices of ${told.date}, which comes with the service` : null }, ORIGINS[told.origin] ?? told.origin) : "–");
const number = (text) => (text === undefined ? null : Number(text));

export default {
  title: "Models",
  lead: "What can be asked for, and what it costs: US dollars per million tokens.",
  needs: ["GET /v1/models"],

  async open(view) {
    const body = h("div", { class: "stack" });
    view.body.append(body);
    await view.load(body, async () => {
      const { data } = await get("/v1/models", {}, view.signal);
      const named = (name) => h("span", { class: "two" }, shortName(name.name ?? name.id, "strong"), shortName(name.id, "code"));
      const list = table(
        "Models",
        [
          { label: "Model", cell: named, sort: (one) => one.id, wide: true },
          { label: "Context", cell: (one) => format.short(one.context_length), sort: (one) => one.context_length ?? null, end: true },
          { label: "Output cap", cell: (one) => format.short(one.max_output_tokens), sort: (one) => one.max_output_tokens ?? null, end: true },
          { label: "Input", cell: (one) => format.usd(price(one, "input")), sort: (one) => number(price(one, "input")), end: true },
          { label: "Cached input", cell: (one) => format.usd(price(one, "cached_input")), sort: (one) => number(price(one, "cached_input")), end: true },
          { label: "Output", cell: (one) => format.usd(price(one, "output")), sort: (one) => number(price(one, "output")), end: true },
          { label: "Price from", cell: source },
          { label: "Takes", cell: (one) => (one.input_modalities ?? ["text"]).join(", ") },
          ...(may("POST /v1/chat/completions") ? [{ label: "", cell: (one) => h("a", { class: "button small", href: to("playground", "", { model: one.id }), "aria-label": `Try ${one.id}` }, "Try") }] : []),
        ],
        { rows: data, nothing: ["No model fits", "Another word, or another provider?"] },
      );
      const words = h("input", { type: "search", placeholder: "claude, gpt, flash …", value: view.query.q ?? "" });
      const providers = [...new Set(data.map((one) => one.provider ?? "named here"))].sort();
      const provider = select([["", "All providers"], ...providers], view.query.provider ?? "");
      const tally = h("p", { class: "note", role: "status" });
      const show = () => {
        const wanted = words.value.trim().toLowerCase().split(/\s+/);
        const found = data.filter((one) => (!provider.value || (one.provider ?? "named here") === provider.value) && wanted.every((word) => `${one.id} ${one.name ?? ""}`.toLowerCase().includes(word)));
        list.show(found);
        tally.textContent = found.length === data.length ? format.plural(data.length, "model") : `${format.count(found.length)} of ${format.plural(data.length, "model")}`;
      };
      words.addEventListener("input", show);
      provider.addEventListener("change", show);
      show();
      return [h("div", { class: "filters" }, field("Find", words), field("Provider", provider), tally), h("section", { class: "panel flush", "aria-label": "Catalogue" }, list)];
    });
  },
};
