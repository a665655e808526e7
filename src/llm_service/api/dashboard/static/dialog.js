// Modal dialogs: the browser keeps the focus inside, Escape closes, and the focus goes back to where it was.

import { button, h, newId, said } from "./dom.js";

/** Shows a dialog; `fill(close)` makes its content. Resolves with what it was closed with, or null. */
export function dialog(title, fill, { wide = false } = {}) {
  return new Promise((resolve) => {
    const id = newId("dialog");
    const box = h("dialog", { class: wide ? "dialog wide" : "dialog", "aria-labelledby": id });
    let result = null;
    const close = (value = null) => {
      result = value;
      box.close();
    };
    box.append(h("h2", { id }, title), ...[fill(close)].flat());
    box.addEventListener("close", () => {
      box.remove();
      resolve(result);
    });
    // What it shows is shown this once. A browser lets a page prevent one "cancel", not the second: the key itself, too.
    const stays = (event) => box.hasAttribute("data-stays") && event.preventDefault();
    box.addEventListener("cancel", stays);
    box.addEventListener("keydown", (event) => event.key === "Escape" && stays(event));
    // A click is beside the box where it begins there: who marks a text may let go anywhere.
    let beside = false;
    box.addEventListener("pointerdown", (event) => {
      beside = event.target === box;
    });
    box.addEventListener("click", (event) => {
      if (beside && event.target === box && !box.hasAttribute("data-stays")) close();
    });
    document.body.append(box);
    box.showModal();
  });
}

/** The page is left: what was asked there is not answered any more. What is shown this once stays. */
export function closeDialogs() {
  for (const box of document.querySelectorAll("dialog[open]:not([data-stays])")) box.close();
}

/** Asks before something is done; resolves with whether to. */
export async function sure(title, text, action, { danger = false } = {}) {
  const said = await dialog(title, (close) => [
    h("p", null, text),
    h(
      "div",
      { class: "dialog-actions" },
      button("Cancel", () => close(false), { autofocus: true }),
      button(action, () => close(true), { kind: danger ? "danger" : "primary" }),
    ),
  ]);
  return said === true;
}

/**
 * A dialog with a form. `send(form)` does what it is for, and what it returns is resolved with; when it throws, its
 * message is shown and the dialog stays.
 */
export function formDialog(title, fields, action, send, options) {
  return dialog(
    title,
    (close) => {
      const problem = h("p", { class: "problem", role: "alert", hidden: true });
      const submit = h("button", { type: "submit", class: "button primary" }, action);
      const form = h(
        "form",
        { class: "form", novalidate: true },
        ...fields,
        problem,
        h("div", { class: "dialog-actions" }, button("Cancel", () => close()), submit),
      );
      form.addEventListener("submit", async (event) => {
        event.preventDefault();
        // A number that is none has no value: it must not pass for "no limit".
        const unread = [...form.elements].find((one) => one.validity?.badInput);
        if (unread) {
          problem.hidden = false;
          problem.textContent = `${unread.labels[0]?.textContent ?? unread.name}: ${unread.validationMessage}`;
          unread.focus();
          return;
        }
        submit.disabled = true;
        try {
          close(await send(new FormData(form), form));
        } catch (error) {
          problem.hidden = false;
          problem.replaceChildren(...said(error.message));
          const wrong = error.param ? form.elements.namedItem(error.param) : null;
          if (wrong instanceof HTMLElement) wrong.focus();
        } finally {
          submit.disabled = false;
        }
      });
      return form;
    },
    options,
  );
}
