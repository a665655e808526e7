// What stands around every page: the way to the others, the theme, and who is signed in.

import { may, signOut, whoami } from "./api.js";
import { button, h, svg, unseen } from "./dom.js";

// Drawn on 16 by 16, as strokes.
const ICONS = {
  overview: "M2 9h3l2-6 3 10 2-4h2",
  generations: "M3 4h10M3 8h10M3 12h6",
  usage: "M3 13V8M7 13V3M11 13V6M2 13h12",
  alerts: "M8 2a4 4 0 0 0-4 4v3l-1 2h10l-1-2V6a4 4 0 0 0-4-4zM6.5 13.5a1.5 1.5 0 0 0 3 0",
  playground: "M3 3h10v7H8l-3 3v-3H3zM6 6h4M6 8h2",
  providers: "M3 3h10v4H3zM3 9h10v4H3zM5.5 5h.01M5.5 11h.01",
  models: "M8 2l5 3v6l-5 3-5-3V5zM3 5l5 3 5-3M8 8v6",
  cache: "M3 4c0-1 2-2 5-2s5 1 5 2-2 2-5 2-5-1-5-2zM3 4v8c0 1 2 2 5 2s5-1 5-2V4M3 8c0 1 2 2 5 2s5-1 5-2",
  limits: "M3 12a5.5 5.5 0 1 1 10 0M8 10l2.5-3.5",
  keys: "M10.5 2.5a3 3 0 1 1-2.6 4.5L3 12v1.5h2V12h1.5v-1.5L8 9",
  configuration: "M3 4h6M12 4h1M3 8h1M7 8h6M3 12h5M11 12h2M10.5 2.5v3M5.5 6.5v3M9.5 10.5v3",
  health: "M8 13.5S2.5 10.5 2.5 6.5A2.8 2.8 0 0 1 8 5a2.8 2.8 0 0 1 5.5 1.500C13.5 10.5 8 13.5 8 13.5z",
  menu: "M2.5 4h11M2.5 8h11M2.5 12h11",
  theme: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  out: "M9 3H4v10h5M7 8h7M11.5 5.5 14 8l-2.5 2.5",
};

export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name] }),
  );
}

const GROUPS = [
  ["Observe", ["overview", "generations", "usage", "alerts"]],
  ["Serve", ["playground", "providers", "models", "cache"]],
  ["Govern", ["keys", "limits", "configuration", "health"]],
];

const THEMES = ["auto", "light", "dark"];

function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

function setTheme(next) {
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("llm-theme", next);
  } catch {
    // Storage is forbidden here: the theme holds until the page is left.
  }
  window.dispatchEvent(new Event("theme"));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.dispatchEvent(new Event("theme")));

function themeButton() {
  const label = h("span");
  const made = h("button", { type: "button", class: "nav-button" }, icon("theme"), label);
  const say = () => {
    label.textContent = `Theme: ${theme()}`;
  };
  made.addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
    say();
  });
  say();
  return made;
}

/** The frame around the pages. `pages`: {name: page}. `leave()` is called when somebody signs out. */
export function shell(pages, leave) {
  const links = new Map();
  const main = h("main", { id: "main", tabindex: "-1" });
  const nav = h("nav", { id: "nav", class: "nav", "aria-label": "Pages" }, GROUPS.map(([name, members]) => group(name, members)));
  const menu = h(
    "button",
    { type: "button", class: "menu", "aria-expanded": "false", "aria-controls": "side" },
    icon("menu"),
    unseen("Menu"),
  );
  const side = h("div", { id: "side", class: "side" }, h("div", { class: "side-body" }, nav, foot()));
  const bar = h("header", { class: "bar" }, menu, h("a", { class: "brand", href: "#/overview" }, mark(), "llm-service"), sandbox());
  const frame = h("div", { class: "frame" }, h("a", { class: "skip", href: "#main" }, "Skip to the content"), bar, side, main);

  frame.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  menu.addEventListener("click", () => unfold(menu.getAttribute("aria-expanded") !== "true"));
  frame.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.getAttribute("aria-expanded") === "true") {
      unfold(false);
      menu.focus();
    }
  });

  function unfold(open) {
    menu.setAttribute("aria-expanded", String(open));
    frame.classList.toggle("unfolded", open);
  }

  function group(name, members) {
    const items = members.map((member) => {
      const page = pages[member];
      const link = h("a", { href: `#/${member}` }, icon(member), page.short ?? page.title);
      if (!allowed(page)) link.classList.add("closed");
      links.set(member, link);
      return h("li", null, link);
    });
    return h("div", { class: "nav-group" }, h("p", { class: "nav-title" }, name), h("ul", null, items));
  }

  function foot() {
    const { key_id, name, version, ends_at } = whoami();
    const leaving = button([icon("out"), "Sign out"], async () => {
      await signOut();
      leave();
    }, { kind: "plain-nav" });
    leaving.className = "nav-button";
    return h(
      "div",
      { class: "side-foot" },
      themeButton(),
      ends_at === null ? null : leaving,
      h("p", { class: "who" }, h("span", null, name ?? (key_id === "local" ? "This machine, without a key" : key_id)), h("span", null, `llm-service ${version}`)),
    );
  }

  return {
    frame,
    main,
    mark(name) {
      unfold(false);
      for (const [member, link] of links) {
        if (member === name) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
    },
  };
}

export function mark() {
  return h("img", { src: "/dashboard/icon.svg", alt: "", width: "24", height: "24" });
}

/** Whether the key may see what the page needs. */
export const allowed = (page) => page.needs.every((offer) => may(offer));

function sandbox() {
  if (!whoami().sandbox) return null;
  return h("p", { class: "sandbox" }, h("strong", null, "Sandbox"), h("span", null, "Simulated providers: nothing is asked of a real model, and nothing is paid."));
}
