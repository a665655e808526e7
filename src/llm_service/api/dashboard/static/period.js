// Which time a page is about: a span that ends now, or from a moment to another.

import { field, h, select } from "./dom.js";

const SPANS = { 3600: "Last hour", 86400: "Last 24 hours", 604800: "Last 7 days", 2592000: "Last 30 days" };
const OWN = "own";

/** Its `fields`, for a form of filters; `asked`: what the address says; `first`: a choice before all spans. */
export function period(asked, { first = [], chosen }) {
  const span = select([...first, ...Object.entries(SPANS), [OWN, "From … to …"]], asked.span ?? chosen);
  const since = h("input", { type: "datetime-local", value: asked.since ?? "" });
  const until = h("input", { type: "datetime-local", value: asked.until ?? "" });
  const own = [field("From", since), field("To", until)];
  const moment = (input) => (input.value ? new Date(input.value).toISOString() : "");
  const isOwn = () => span.value === OWN;
  const show = () => own.forEach((one) => (one.hidden = !isOwn()));
  span.addEventListener("change", show);
  show();
  return {
    fields: [field("Period", span), ...own],

    /** As the interface asks for it. */
    which() {
      if (isOwn()) return { since: moment(since), until: moment(until) };
      return span.value ? { since: new Date(Date.now() - Number(span.value) * 1000).toISOString() } : {};
    },

    /** As the page's address keeps it. */
    kept: () => ({ span: span.value, since: isOwn() ? since.value : "", until: isOwn() ? until.value : "" }),
  };
}
