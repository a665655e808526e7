// Charts over time. Each says in words what it shows, and has its figures as a table.

import { h, newId } from "./dom.js";

const MOST_ROWS = 30;

function colour(name) {
  const probe = h("span", { class: `ink-${name}` });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** A moment at the axis; `step`: seconds between two of them. Midnight is written as its day. */
function tickOf(moment, step) {
  const at = new Date(moment * 1000);
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0"));
  if (step >= 86_400 || clock.join("") === "000000") return days.format(at);
  return clock.slice(0, step < 60 ? 3 : 2).join(":");
}

/** Whether there is too little room for the words of a moment at the end of the axis. */
const isCut = (made, tick) => made.valToPos(tick, "x") > made.bbox.width / devicePixelRatio - 6;

/** Seconds between two words at the axis: what people count time by. */
const STEPS_S = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000, 7_776_000, 31_536_000];

const missing = (value) => value === null || value === undefined;

const clear = (ink, share) => ink.replace("rgb(", "rgba(").replace(")", `, ${share})`);

/**
 * A chart. `series`: {label, ink: 1..4 or bad}. `format(value)`. `bars`: one bar for each moment.
 * Returns a figure with `show(at, values)`: moments (Unix seconds), and a list of figures for each series.
 */
export function chart(title, series, { format, bars = false, unit = "" } = {}) {
  const id = newId("chart");
  const now = h("span", { class: "chart-now" });
  const plot = h("div", { class: "plot", role: "img", "aria-label": `${title}: no figures yet` });
  const rows = h("tbody");
  const details = h(
    "details",
    { class: "chart-table" },
    h("summary", null, "Figures", h("span", { class: "unseen" }, ` of ${title}`)),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `Figures of ${title}` },
      h(
        "table",
        null,
        h("caption", { class: "unseen" }, title),
        h("thead", null, h("tr", null, h("th", { scope: "col" }, "Time"), series.map((one) => h("th", { scope: "col", class: "end" }, one.label)))),
        rows,
      ),
    ),
  );
  const legend = h(
    "ul",
    { class: "legend" },
    series.map((one) => h("li", { class: `key-${one.ink}` }, one.label, h("span", { class: "legend-value" }))),
  );
  const values = [...legend.querySelectorAll(".legend-value")];
  const figure = h(
    "figure",
    { class: "chart", "aria-labelledby": id },
    h("figcaption", null, h("h3", { id }, title), now),
    series.length > 1 ? legend : null,
    plot,
    details,
  );
  let data = null;
  let drawn = null;

  function options(width) {
    const inks = series.map((one) => colour(one.ink));
    const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    return {
      width,
      height: plot.clientHeight || 150,
      padding: [8, 20, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      hooks: { setCursor: [(made) => tell(made.cursor.idx)] },
      scales: { y: { range: (_, least, most) => [Math.min(0, least ?? 0), !most || most <= 0 ? 1 : most * 1.1] } },
      axes: [
        { ...axis, grid: { show: false }, space: 72, incrs: STEPS_S, size: 28, gap: 6, values: (made, ticks, _, __, step) => ticks.map((tick) => (isCut(made, tick) ? "" : tickOf(tick, step))) },
        { ...axis, size: 62, gap: 6, space: 30, values: (_, ticks) => ticks.map((tick) => format(tick)) },
      ],
      series: [
        {},
        ...series.map((one, at) => ({
          label: one.label,
          stroke: inks[at],
          width: bars ? 0 : 1.75,
          fill: bars ? clear(inks[at], 0.75) : at === 0 ? clear(inks[at], 0.1) : undefined,
          spanGaps: false,
          points: { show: false },
          ...(bars ? { paths: uPlot.paths.bars({ size: [0.7, 48], radius: 0.12 }) } : {}),
        })),
      ],
    };
  }

  function draw() {
    if (data === null || plot.clientWidth === 0) return;
    drawn?.destroy();
    drawn = new uPlot(options(plot.clientWidth), data, plot);
    window.addEventListener("theme", draw);
  }

  /** The figures under the pointer, else the newest. */
  function tell(index) {
    if (data === null) return;
    const at = index ?? data[0].length - 1;
    const shown = data.slice(1).map((values) => values[at]);
    if (missing(index) && data.slice(1).every((values) => values.every(missing))) {
      now.textContent = "no figures yet";
      return;
    }
    const when = missing(index) ? null : new Date(data[0][at] * 1000).toLocaleTimeString("en-GB");
    const said = series.length > 1 ? unit : `${format(shown[0])} ${unit}`;
    now.textContent = data[0].length === 0 ? "" : [when, said.trim()].filter(Boolean).join(" · ");
    values.forEach((element, which) => {
      element.textContent = format(shown[which]);
    });
  }

  function describe() {
    const said = data.slice(1).map((values, at) => {
      const known = values.filter((value) => !missing(value));
      if (known.length === 0) return `${series[at].label}: no figures`;
      return `${series[at].label}: now ${format(known.at(-1))}, highest ${format(Math.max(...known))}`;
    });
    plot.setAttribute("aria-label", `${title}${unit && `, ${unit}`}. ${said.join("; ")}.`);
    if (details.open) fillTable();
  }

  function fillTable() {
    const step = Math.max(1, Math.ceil(data[0].length / MOST_ROWS));
    const picked = data[0].map((_, at) => at).filter((at) => (data[0].length - 1 - at) % step === 0).reverse();
    rows.replaceChildren(
      ...picked.map((at) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, new Date(data[0][at] * 1000).toLocaleString()),
          data.slice(1).map((values) => h("td", { class: "end" }, format(values[at]))),
        ),
      ),
    );
  }

  details.addEventListener("toggle", () => details.open && data !== null && fillTable());
  new ResizeObserver(() => {
    if (!plot.isConnected) leave();
    else if (drawn === null) draw();
    else if (plot.clientWidth > 0 && drawn.width !== plot.clientWidth) drawn.setSize({ width: plot.clientWidth, height: plot.clientHeight });
  }).observe(plot);

  /** The page has another one now: the window would hold on to this one. */
  function leave() {
    window.removeEventListener("theme", draw);
    drawn?.destroy();
    drawn = null;
  }

  figure.show = (at, values) => {
    data = [at, ...values];
    if (drawn === null) draw();
    else drawn.setData(data);
    tell(null);
    describe();
  };
  return figure;
}
