// How the process that answers is doing, with causes and since when.

import { get } from "./api.js";
import { badge, facts, h, panel, tile, tiles } from "./dom.js";
import * as format from "./format.js";
import { every } from "./live.js";
import { stateBadge } from "./page_providers.js";
import { table } from "./table.js";

const TONES = { ok: "good", degraded: "warn", draining: "warn" };

export default {
  title: "Health",
  lead: "How the process that answers is doing.",
  needs: ["GET /health"],

  async open(view) {
    const body = h("div", { class: "stack" });
    view.body.append(body);
    view.actions.append(h("a", { class: "button", href: "/health", target: "_blank", rel: "noopener" }, "As JSON"));
    const show = () => view.load(body, async () => shown(await get("/health", {}, view.signal)));
    await show();
    every(5, show, view.signal);
  },
};

function shown(health) {
  const { stores, system } = health;
  return [
    tiles(
      tile("Status", badge(health.status, TONES[health.status] ?? "bad"), health.worker ? `worker ${health.worker}` : null),
      tile("Up for", format.duration(health.uptime_s), `version ${health.version}`),
      tile("Settings", `generation ${health.config.generation}`, `read ${format.ago(health.config.loaded_at)}`),
      system && tile("In flight", format.count(system.requests_in_flight), system.shedding ? `refusing: ${system.shedding}` : "nothing refused for load"),
      system && tile("Event loop", format.milliseconds(system.event_loop_lag_ms?.mean), `late on average, ${format.milliseconds(system.event_loop_lag_ms?.worst)} at worst`),
    ),
    h(
      "div",
      { class: "columns" },
      stores && panel("Stores", {}, storeRows(stores)),
      system &&
        panel(
          "Machine",
          {},
          facts([
            ["Memory", `${format.bytes(system.memory_bytes)}${system.memory_limit_bytes ? ` of ${format.bytes(system.memory_limit_bytes)}` : ""}`],
            ["Open files", `${format.count(system.descriptors)} of ${format.count(system.descriptors_limit)}`],
            ["Disk free", format.bytes(system.disk_free_bytes)],
          ]),
        ),
    ),
    panel("Providers", {}, providerRows(health.providers)),
  ];
}

function storeRows({ limits, cache, database, ledger }) {
  const row = (name, text, good, word) => h("li", null, h("span", { class: "row-main" }, h("strong", null, name), h("span", { class: "note" }, text)), badge(word ?? (good ? "up" : "down"), good ? "good" : "bad"));
  const backlog = `${format.plural(ledger.unshipped_records, "record")} on the way, ${format.plural(ledger.open_requests, "request")} open`;
  return h(
    "ul",
    { class: "rows" },
    row("Limits", limits.cause ?? (limits.stands_in ? "each process by itself" : `counted for the ${limits.reach}`), limits.up),
    row("Cache", cache.cause ? `${cache.cause}; each process keeps answers for itself` : `answers kept for the ${cache.reach}`, cache.up),
    row("Database", database.cause ?? `for the ${database.reach}`, database.up),
    row("Ledger", ledger.error ?? backlog, ledger.error === null, ledger.error === null ? "shipping" : "failing"),
  );
}

function providerRows(providers) {
  return table(
    "Providers",
    [
      { label: "Provider", cell: ([name]) => name },
      { label: "State", cell: ([, one]) => stateBadge(one.state) },
      { label: "Cause", cell: ([, one]) => one.cause ?? "–", wide: true },
      { label: "Since", cell: ([, one]) => h("span", { title: format.moment(one.since) }, format.ago(one.since)) },
      { label: "Last minute", cell: ([, one]) => format.plural(one.requests ?? 0, "request"), end: true },
      { label: "Errors", cell: ([, one]) => format.percent(one.error_ratio), end: true },
      { label: "Breaker", cell: ([, one]) => one.breaker ?? "–" },
    ],
    { rows: Object.entries(providers), nothing: ["No providers", ""] },
  );
}
