// Before the first paint: the theme that somebody chose on this device, if so.
"use strict";
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("llm-theme");
  } catch {
    chosen = null; // storage is forbidden here: the system's own theme will do
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
