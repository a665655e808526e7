// Short words on what came of something; read out by screen readers.

import { h, said } from "./dom.js";

const SHOWN_MS = 6000;

/** Say something. `tone`: good, bad or plain. */
export function toast(text, tone = "plain") {
  const shown = h("div", { class: `toast ${tone}` }, said(text));
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), SHOWN_MS);
}

/** Tell a failure in its own words. */
export function complain(error) {
  if (error.name !== "AbortError") toast(error.message, "bad");
}
