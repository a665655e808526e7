// The way in: the admin key, or one with the scope read or admin.

import { signIn, whoami } from "./api.js";
import { field, h } from "./dom.js";
import { mark } from "./shell.js";

export function login(reason, done) {
  const key = h("input", { type: "password", name: "key", autocomplete: "current-password", required: true, spellcheck: "false" });
  const problem = h("p", { class: "problem", role: "alert", hidden: !reason }, reason);
  const submit = h("button", { type: "submit", class: "button primary block" }, "Sign in");
  // Password managers keep a name with what they keep.
  const name = h("input", { type: "text", name: "username", value: "llm-service", autocomplete: "username", hidden: true });
  const form = h(
    "form",
    { class: "form", novalidate: true },
    name,
    field("Key", key, "The admin key (auth.admin_key), or an api key with the scope read or admin."),
    problem,
    submit,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      await signIn(key.value.trim());
      key.value = "";
      done();
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.message;
      key.focus();
      key.select();
    } finally {
      submit.disabled = false;
    }
  });
  return h(
    "main",
    { class: "alone" },
    h("div", { class: "login" }, h("p", { class: "brand" }, mark(), "llm-service"), h("h1", null, "Sign in"), form),
    h("p", { class: "note" }, `Version ${whoami().version}. The key goes to this service alone; the browser keeps a session of at most 12 hours.`),
  );
}
