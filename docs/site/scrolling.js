// What scrolls sideways, code and tables, can be scrolled by keyboard too. The theme wraps tables after it has loaded.
"use strict";
(() => {
  const reach = () => {
    for (const one of document.querySelectorAll(".md-typeset pre > code, .md-typeset__scrollwrap")) {
      one.tabIndex = one.scrollWidth > one.clientWidth ? 0 : -1;
    }
  };
  new MutationObserver(reach).observe(document.body, { childList: true, subtree: true });
  addEventListener("resize", reach);
  reach();
})();
