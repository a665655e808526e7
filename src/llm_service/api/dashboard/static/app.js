// The beginning: who is there, which page is asked for, and what is to be said when something fails.

import { ApiError, signOut, whoIsThere, whoami } from "./api.js";
import { closeDialogs } from "./dialog.js";
import { button, empty, h, said } from "./dom.js";
import alerts from "./page_alerts.js";
import cache from "./page_cache.js";
import configuration from "./page_configuration.js";
import generation from "./page_generation.js";
import generations from "./page_generations.js";
import health from "./page_health.js";
import keys from "./page_keys.js";
import limits from "./page_limits.js";
import { login } from "./page_login.js";
import models from "./page_models.js";
import overview from "./page_overview.js";
import playground from "./page_playground.js";
import providers from "./page_providers.js";
import usage from "./page_usage.js";
import { where } from "./router.js";
import { allowed, shell } from "./shell.js";

const PAGES = { overview, generations, usage, alerts, playground, providers, models, cache, keys, limits, configuration, health };
const app = document.getElementById("app");
let frame = null;
let leaving = null;

function skeleton() {
  return h(
    "div",
    { class: "skeleton", "aria-hidden": "true" },
    [1, 2, 3].map(() => h("span")),
  );
}

function failure(error, again) {
  const id = error instanceof ApiError && error.requestId;
  return h(
    "div",
    { class: "failure", role: "alert", "data-said": error.message },
    h("p", { class: "failure-title" }, "This could not be loaded"),
    h("p", null, said(error.message)),
    id ? h("p", { class: "note" }, "Request ", h("code", null, id)) : null,
    button("Try again", again),
  );
}

/** What tells a control from the others around it, also when it is made anew. */
function nameOf(element) {
  const titled = document.getElementById(element.getAttribute("aria-labelledby"))?.textContent;
  return [element.tagName, titled ?? element.getAttribute("aria-label") ?? element.getAttribute("href") ?? element.textContent].join(" ");
}

const controlsOf = (place) => [...place.querySelectorAll("a, button, input, select, summary, [tabindex]")];

/** Put these in a place of others; who reads or types there stays where they were, or near by if that is gone. */
function exchange(place, made) {
  const focused = place.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  const was = controlsOf(place).indexOf(document.activeElement);
  const scrolled = [...place.querySelectorAll(".scroll")].map((region) => [region.scrollLeft, region.scrollTop]);
  place.replaceChildren(...made);
  [...place.querySelectorAll(".scroll")].forEach((region, at) => {
    [region.scrollLeft, region.scrollTop] = scrolled[at] ?? [0, 0];
  });
  if (focused === null || place.contains(document.activeElement)) return;
  const controls = controlsOf(place);
  const again = controls.find((one) => nameOf(one) === focused) ?? controls[Math.min(was, controls.length - 1)];
  again?.focus({ preventScroll: true });
}

/** What a page gets: its place, what the address says, and until when it is there. */
function viewOf(page, { rest, query }, signal) {
  const title = h("h1", { tabindex: "-1" }, page.title);
  const actions = h("div", { class: "actions" });
  const lead = h("p", { class: "lead" }, page.lead ?? "");
  const body = h("div", { class: "body" });
  const head = h("div", { class: "page-head" }, h("div", null, title, lead), actions);
  return {
    head,
    title,
    lead,
    actions,
    body,
    rest,
    query,
    signal,
    /** Fill a place with what `make` resolves with; say so where it fails. Later calls keep what is there meanwhile. */
    async load(place, make) {
      if (place.childElementCount === 0) place.replaceChildren(skeleton());
      place.setAttribute("aria-busy", "true");
      try {
        const made = await make();
        if (!signal.aborted && made !== undefined) exchange(place, [made].flat().filter(Boolean));
      } catch (error) {
        if (signal.aborted || error.name === "AbortError") return;
        if (place.firstElementChild?.dataset.said === error.message) return; // it was said, and read out
        exchange(place, [failure(error, () => this.load(place, make))]);
      } finally {
        place.removeAttribute("aria-busy");
      }
    },
  };
}

function show({ focus }) {
  leaving?.abort();
  closeDialogs();
  leaving = new AbortController();
  const asked = where();
  const page = asked.name === "generations" && asked.rest ? generation : PAGES[asked.name];
  frame.mark(asked.name);
  const view = viewOf(page ?? { title: "There is no such page" }, asked, leaving.signal);
  document.title = `${view.title.textContent} · llm-service`;
  frame.main.replaceChildren(view.head, view.body);
  window.scrollTo(0, 0);
  if (focus) view.title.focus();
  if (page === undefined) {
    view.body.append(empty("There is no such page", "", h("a", { class: "button", href: "#/overview" }, "To the overview")));
  } else if (!allowed(page)) {
    const missing = whoami().scopes.includes("admin") ? "This service does not offer what the page shows." : "The key that you signed in with may not see this page: it takes one with the scope admin.";
    view.body.append(empty("Not for this key", missing));
  } else {
    page.open(view);
  }
}

function enter({ focus }) {
  frame = shell(PAGES, begin);
  app.replaceChildren(frame.frame);
  show({ focus });
}

function ask(reason) {
  leaving?.abort();
  closeDialogs();
  frame = null;
  document.title = "Sign in · llm-service";
  app.replaceChildren(login(reason, () => enter({ focus: true })));
  app.querySelector("input[name=key]").focus();
}

async function begin(reason = "") {
  try {
    const session = await whoIsThere();
    if (session.signed_in) enter({ focus: false });
    else ask(reason);
  } catch (error) {
    app.replaceChildren(h("main", { class: "alone" }, failure(error, () => begin())));
  }
}

window.addEventListener("hashchange", () => frame !== null && show({ focus: true }));
window.addEventListener("signed-out", async () => {
  if (frame === null) return;
  frame = null;
  leaving?.abort();
  await signOut();
  ask("Your session is over. Sign in again to go on.");
});
begin();
