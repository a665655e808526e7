// Addresses after the `#`: #/generations/req_1?status=error.

/** What the address asks for: the page's name, what follows it, and the query. */
export function where() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decoded);
  return { name: name || "overview", rest: rest.join("/"), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone %: somebody typed it
  }
}

/** The address of a page. */
export function to(name, rest = "", query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const tail = rest ? `/${encodeURIComponent(rest)}` : "";
  return `#/${name}${tail}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/** Keep the query in the address, without a step in the browser's history. */
export function keep(name, query) {
  history.replaceState(null, "", to(name, "", query));
}
