// What happens, as it happens: one EventSource for all that a page wants to hear, none while nobody looks.

import { link, may, whoIsThere } from "./api.js";

const OFFER = "GET /admin/events";

/** Whether the service tells what happens. */
export const isLive = () => may(OFFER);

/**
 * Listen until `signal`: `heard(kind, data)` for each event. `state(text)`: "live", "connecting" or "paused".
 * A page that is hidden hears nothing, and listens again when it is seen.
 */
export function listen(kinds, heard, { signal, intervalS = 5, state = () => {} }) {
  let source = null;

  function begin() {
    if (source !== null || document.hidden || signal.aborted) return;
    state("connecting");
    source = new EventSource(link("/admin/events", { kinds: kinds.join(","), interval_s: intervalS }));
    source.addEventListener("open", () => state("live"));
    source.addEventListener("error", () => {
      state("connecting");
      if (source?.readyState === EventSource.CLOSED) {
        end();
        setTimeout(comeBack, 5000);
      }
    });
    for (const kind of kinds) {
      source.addEventListener(kind, (event) => {
        try {
          heard(kind, JSON.parse(event.data));
        } catch (error) {
          console.warn("an event could not be read", error.message);
        }
      });
    }
  }

  /** The service refused, and browsers ask no second time: because the session is over, or it is not there. */
  async function comeBack() {
    if (signal.aborted) return;
    try {
      const { signed_in, reason } = await whoIsThere();
      if (signed_in) begin();
      else window.dispatchEvent(new CustomEvent("signed-out", { detail: reason }));
    } catch {
      setTimeout(comeBack, 5000);
    }
  }

  function end() {
    source?.close();
    source = null;
  }

  function look() {
    if (document.hidden) {
      end();
      state("paused");
    } else {
      begin();
    }
  }

  if (!isLive()) return;
  document.addEventListener("visibilitychange", look, { signal });
  window.addEventListener("pagehide", end, { signal });
  signal.addEventListener("abort", end);
  begin();
}

/** Do something now and then until `signal`, but not while nobody looks. */
export function every(seconds, work, signal) {
  const timer = setInterval(() => {
    if (!document.hidden) work();
  }, seconds * 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
}
