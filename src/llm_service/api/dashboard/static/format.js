// Figures, money and moments as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

const NONE = "–";
const missing = (value) => value === null || value === undefined || Number.isNaN(value);

export const count = (value) => (missing(value) ? NONE : whole.format(value));

/** 1.2M instead of 1,234,567; small numbers as they are. */
export const short = (value) => (missing(value) ? NONE : value < 10_000 ? figure(value) : compact.format(value));

/** A number with as many digits as say something. */
export function figure(value) {
  if (missing(value)) return NONE;
  const size = Math.abs(value);
  const digits = size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(value);
}

/** US dollars. Small amounts keep three digits that say something. */
export function usd(value) {
  if (missing(value)) return NONE;
  const amount = Number(value);
  const size = Math.abs(amount);
  if (size === 0) return "$0";
  const digits = size >= 1 ? 2 : size >= 0.1 ? 3 : Math.min(9, 2 - Math.floor(Math.log10(size)));
  return new Intl.NumberFormat("en", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(amount);
}

export function milliseconds(value) {
  if (missing(value)) return NONE;
  if (value >= 60_000) return duration(value / 1000);
  if (value >= 1000) return `${figure(value / 1000)} s`;
  return `${value >= 10 ? Math.round(value) : figure(value)} ms`;
}

export const seconds = (value) => (missing(value) ? NONE : milliseconds(value * 1000));

export function duration(value) {
  if (missing(value)) return NONE;
  const parts = [
    [Math.floor(value / 86_400), "d"],
    [Math.floor(value / 3600) % 24, "h"],
    [Math.floor(value / 60) % 60, "min"],
    [Math.floor(value) % 60, "s"],
  ].filter(([amount]) => amount > 0);
  return parts.length === 0 ? "0 s" : parts.slice(0, 2).map(([amount, unit]) => `${amount} ${unit}`).join(" ");
}

export const percent = (value) =>
  missing(value) ? NONE : `${new Intl.NumberFormat("en", { maximumFractionDigits: 1 }).format(value * 100)}%`;

export function bytes(value) {
  if (missing(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let amount = value;
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${figure(amount)} ${units[unit]}`;
}

export const moment = (text) => (text ? moments.format(new Date(text)) : NONE);
/** The time of today, else the day too. */
export function when(text) {
  if (!text) return NONE;
  const at = new Date(text);
  return (at.toDateString() === new Date().toDateString() ? clock : day).format(at);
}

/** "3 min. ago". */
export function ago(text) {
  if (!text) return NONE;
  const passed = (new Date(text) - Date.now()) / 1000;
  const size = Math.abs(passed);
  if (size < 5) return "just now";
  for (const [unit, length] of [["day", 86_400], ["hour", 3600], ["minute", 60]]) {
    if (size >= length) return relative.format(Math.round(passed / length), unit);
  }
  return relative.format(Math.round(passed), "second");
}

/** The beginning and the end of a long id: ids of one day begin alike. */
export const briefly = (id) => (id && id.length > 18 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id);

/** "1 request", "2 requests". */
export const plural = (amount, word, many = `${word}s`) => `${count(amount)} ${amount === 1 ? word : many}`;
