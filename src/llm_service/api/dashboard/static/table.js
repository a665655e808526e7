// Tables with a caption, headings that sort, and a region that can be scrolled by keyboard where it is too wide.

import { empty, h, newId } from "./dom.js";

function compared(one, other) {
  if (one === other) return 0;
  if (one === null || one === undefined) return 1;
  if (other === null || other === undefined) return -1;
  return typeof one === "number" && typeof other === "number"
    ? one - other
    : String(one).localeCompare(String(other), undefined, { numeric: true });
}

/**
 * A table. `columns`: {label, cell(row), sort?(row), end?: figures at the right, wide?: takes what room there is}.
 * Returns an element with `show(rows)`. `order`: [column, descending] at first. `nothing`: [title, text] without rows.
 * `kept`: an object of the page, in which the order that somebody chose outlives this table.
 */
export function table(caption, columns, { rows = [], order = null, nothing = ["Nothing here yet", ""], head = 0, kept = {} } = {}) {
  const id = newId("table");
  const body = h("tbody");
  const heads = columns.map((column, at) => heading(column, at));
  const made = h("table", { "aria-labelledby": id }, h("thead", null, h("tr", null, heads)), body);
  const title = h("p", { class: "unseen", id }, caption);
  const none = h("div", { hidden: true });
  const region = h("div", { class: "scroll", role: "region", tabindex: "0", "aria-labelledby": id }, made);
  const box = h("div", { class: "table" }, title, region, none);
  let shown = rows;
  let [by, down] = kept.order ?? order ?? [null, false];

  function heading(column, at) {
    const classes = column.end ? "end" : null;
    if (!column.sort) return h("th", { scope: "col", class: classes }, column.label || h("span", { class: "unseen" }, "Actions"));
    const sort = () => {
      [by, down] = by === at ? [at, !down] : [at, Boolean(column.end)];
      kept.order = [by, down];
      draw();
    };
    return h(
      "th",
      { scope: "col", class: classes, "aria-sort": "none" },
      h("button", { type: "button", class: "sort", on: { click: sort } }, column.label),
    );
  }

  function draw() {
    heads.forEach((one, at) => {
      if (columns[at].sort) one.setAttribute("aria-sort", at !== by ? "none" : down ? "descending" : "ascending");
    });
    const sorted = by === null ? shown : [...shown].sort((one, other) => compared(columns[by].sort(one), columns[by].sort(other)));
    if (by !== null && down) sorted.reverse();
    body.replaceChildren(...sorted.map(line));
    region.hidden = shown.length === 0;
    none.hidden = shown.length > 0;
    none.replaceChildren(empty(...nothing));
  }

  function line(row) {
    return h(
      "tr",
      null,
      columns.map((column, at) => {
        const classes = [column.end && "end", column.wide && "wide"].filter(Boolean).join(" ") || null;
        return at === head ? h("th", { scope: "row", class: classes }, column.cell(row)) : h("td", { class: classes }, column.cell(row));
      }),
    );
  }

  box.show = (next) => {
    shown = next;
    draw();
  };
  draw();
  return box;
}
