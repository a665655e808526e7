// Where the time of a request went: bars on one scale, each with its figures in words.

import { h } from "./dom.js";
import * as format from "./format.js";

/** Bars of a record: [name, from ms, to ms, tone]; what it does not tell of is left out. */
export function barsOf(record) {
  const whole = record.duration_ms ?? 0;
  const bars = [];
  const queue = record.queue_ms ?? 0;
  const overhead = Math.min(record.overhead_ms ?? 0, whole);
  let at = 0;
  const next = (name, length, tone) => {
    if (length <= 0) return;
    bars.push([name, at, Math.min(at + length, whole), tone]);
    at = Math.min(at + length, whole);
  };
  next("Service", overhead, "own");
  if (queue > 0) next("Waited for a place", queue, "queue");
  const failed = (record.tries ?? []).filter((one) => one.error_code);
  failed.forEach((one, number) => next(`Attempt ${number + 1}: ${one.provider}, ${one.error_code}`, one.duration_ms ?? 0, "bad"));
  if (record.first_chunk_ms !== null && record.first_chunk_ms !== undefined) {
    const asked = record.provider === null || record.attempts === 0 ? "Kept answer" : `Attempt ${failed.length + 1}: ${record.provider}, until the first chunk`;
    if (record.first_chunk_ms > at) next(asked, record.first_chunk_ms - at, "wait");
    next("Answer, to its end", whole - at, "good");
  } else if (failed.length === 0) {
    next(record.status === "ok" ? "Answer" : "Until it ended", whole - at, record.status === "ok" ? "good" : "bad");
  }
  return bars;
}

/** The bars, drawn. `marks`: [name, ms]. */
export function waterfall(bars, whole, marks = []) {
  const scale = Math.max(whole, 0.001);
  const place = (element, from, to) => {
    element.style.left = `${(from / scale) * 100}%`;
    element.style.width = `${Math.max(((to - from) / scale) * 100, 0.4)}%`;
    return element;
  };
  return h(
    "div",
    { class: "waterfall" },
    h(
      "ol",
      null,
      bars.map(([name, from, to, tone]) =>
        h(
          "li",
          null,
          h("span", { class: "fall-name" }, name),
          h("span", { class: "fall-track", "aria-hidden": "true" }, place(h("span", { class: `fall-bar ${tone}` }), from, to)),
          h("span", { class: "fall-time" }, format.milliseconds(to - from)),
        ),
      ),
    ),
    h("p", { class: "note" }, ["0", ...marks.map(([name, at]) => `${name} at ${format.milliseconds(at)}`), `end at ${format.milliseconds(whole)}`].join("  ·  ")),
  );
}
