// Elements, made by hand: nothing that comes from the service is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

function put(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

function dress(element, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "value" || name === "checked" || name === "selected") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  return element;
}

/** An element with attributes (`on`: its listeners) and children; null and false are left out. */
export function h(tag, props, ...children) {
  return put(dress(document.createElement(tag), props), children);
}

/** The same of SVG. */
export function svg(tag, props, ...children) {
  return put(dress(document.createElementNS(SVG, tag), props), children);
}

let numbers = 0;

/** An id that no other element has. */
export function newId(prefix = "id") {
  numbers += 1;
  return `${prefix}-${numbers}`;
}

/** A name with slashes, which may go on in the next line behind one; of what is too long, the whole as its title. */
export function longName(text) {
  if (!text) return "–";
  const parts = String(text).split(/(?<=[/])/);
  return h("code", { class: "name", title: text }, parts.map((part, at) => [at ? h("wbr") : null, h("span", null, part)]));
}

/** What somebody named, in one line: who writes much gets its beginning, and the whole as a title. */
export function shortName(text, tag = "span") {
  return text ? h(tag, { class: "cut", title: text }, text) : "–";
}

/** Words in which code stands between backticks. */
export function said(text) {
  return String(text ?? "").split("`").map((part, at) => (at % 2 ? h("code", null, part) : part));
}

/** Text for screen readers alone. */
export function unseen(text) {
  return h("span", { class: "unseen" }, text);
}

export function badge(text, tone = "plain", title = null) {
  return h("span", { class: `badge ${tone}`, title }, text);
}

export function button(label, onClick, { kind = "", ...props } = {}) {
  return h("button", { type: "button", class: `button ${kind}`.trim(), on: { click: onClick }, ...props }, label);
}

/** A labelled control. `hint` stands below it and is read with it. */
export function field(label, control, hint = null) {
  control.id ||= newId("field");
  const said = hint === null ? null : h("span", { class: "hint", id: newId("hint") }, hint);
  if (said !== null) control.setAttribute("aria-describedby", said.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, said);
}

export function select(options, chosen, props = {}) {
  const made = h("select", props);
  for (const one of options) {
    const [value, label] = Array.isArray(one) ? one : [one, one];
    made.append(h("option", { value }, label));
  }
  made.value = chosen ?? made.options[0]?.value ?? "";
  return made;
}

/** A panel with a heading; `actions` stand at its right. */
export function panel(title, { actions = [], note = null, level = "h2", wide = false } = {}, ...children) {
  const id = newId("panel");
  const head = h("div", { class: "panel-head" }, h(level, { id }, title), put(h("div", { class: "actions" }), actions));
  return h(
    "section",
    { class: wide ? "panel wide" : "panel", "aria-labelledby": id },
    head,
    note === null ? null : h("p", { class: "note" }, said(note)),
    ...children,
  );
}

/** Names and values. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter((pair) => pair)
      .map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value ?? "–"))),
  );
}

/** One figure with its name, and what is to be said of it. */
export function tile(label, value, note = null, tone = "") {
  return h(
    "div",
    { class: `tile ${tone}`.trim() },
    h("span", { class: "tile-label" }, label),
    h("span", { class: "tile-value" }, value),
    h("span", { class: "tile-note" }, note ?? "\u00a0"),
  );
}

export function tiles(...children) {
  return h("div", { class: "tiles" }, ...children);
}

/** What is shown where there is nothing to show. */
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), text && h("p", null, said(text)), ...actions);
}

export function meter(share, label) {
  const tone = share >= 0.9 ? "bad" : share >= 0.7 ? "warn" : "";
  const bar = h("span", { class: `meter-bar ${tone}`.trim() });
  bar.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  return h("span", { class: "meter", role: "img", "aria-label": label }, bar);
}
