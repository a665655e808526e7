// Where the time of a request went: bars on one scale, each with its figures in words.

import { h } from "./dom.js";
import * as format from "./format.js";

const OVERTAKEN = ["lost", "aborted"]; // by another attempt, or since nobody waited any more
const LEAST_MS = 1;

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
  const first = record.first_chunk_ms ?? null;
  const tries = (record.tries ?? []).map((one, number) => ({ ...one, name: `Attempt ${number + 1}: ${one.provider}` }));
  const failed = tries.filter((one) => one.error_code && !OVERTAKEN.includes(one.error_code));
  for (const one of failed) next(`${one.name}, ${one.error_code}`, one.duration_ms ?? 0, "bad");
  const content = first ?? (record.status === "ok" ? whole : null);
  const answered = tries.find((one) => !one.error_code);
  if (content !== null) {
    // Between two attempts there may be waits; what another attempt overtook ran beside it.
    const asked = answered ? Math.min(answered.duration_ms ?? 0, content) : content - at;
    if (content - asked - at >= LEAST_MS) next(failed.length ? "Waits between attempts" : "Until that attempt", content - asked - at, "queue");
    for (const one of tries.filter((other) => OVERTAKEN.includes(other.error_code))) {
      bars.push([`${one.name}, ${one.error_code}`, Math.max(content - (one.duration_ms ?? 0), 0), content, "queue"]);
    }
    const kept = record.provider === null || record.attempts === 0;
    const name = answered?.name ?? `Attempt ${failed.length + 1}: ${record.provider}`;
    if (first === null) next(kept ? "Kept answer" : "Answer", whole - at, "good");
    else {
      if (first > at) next(kept ? "Kept answer" : `${name}, until the first chunk`, first - at, "wait");
      next("Answer, to its end", whole - at, "good");
    }
  } else {
    next(failed.length ? "Waits between attempts, and the end" : "Until it ended", whole - at, failed.length ? "queue" : "bad");
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
