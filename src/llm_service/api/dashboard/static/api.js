// The service's public interface, as whoever is signed in may ask it.

let session = { signed_in: false, may: [] };

/** What the service refused, in its own words. */
export class ApiError extends Error {
  constructor(status, { message, code, param, requestId }) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
    this.requestId = requestId;
  }
}

/** Who is signed in, if somebody is; asks the service. */
export async function whoIsThere() {
  session = await read(await sent("GET", "/dashboard/session"));
  return session;
}

export async function signIn(key) {
  session = await read(await sent("POST", "/dashboard/session", { body: { key } }));
  return session;
}

export async function signOut() {
  try {
    await ask("DELETE", "/dashboard/session");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // an ended session is what was wanted
  }
  session = { signed_in: false, may: [] };
}

export const whoami = () => session;

/** Whether the service has this, and the key may ask it: "GET /admin/keys". */
export const may = (offer) => session.signed_in && session.may.includes(offer);

function address(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

/** An address that a link may lead to, or an EventSource listen to. */
export const link = address;

async function sent(method, path, { query, body, headers = {}, signal } = {}) {
  const all = { accept: "application/json", ...headers };
  if (session.csrf) all["x-llm-csrf"] = session.csrf;
  if (body !== undefined || method === "POST") all["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "The service does not answer.", code: "unreachable" });
  }
  return response;
}

async function read(response) {
  if (response.ok) return response.json();
  let said = {};
  try {
    said = await response.json();
  } catch {
    said = {}; // a proxy's page: the status has to do
  }
  const requestId = said.request_id ?? response.headers.get("x-request-id");
  const message = said.error?.message ?? `The service answered with status ${response.status}.`;
  if (response.status === 401) window.dispatchEvent(new CustomEvent("signed-out", { detail: message }));
  throw new ApiError(response.status, { message, code: said.error?.code, param: said.error?.param, requestId });
}

/** What the service answers, as JSON. Throws ApiError, and AbortError when `signal` says so. */
export async function ask(method, path, options) {
  return read(await sent(method, path, options));
}

export const get = (path, query, signal) => ask("GET", path, { query, signal });

const NAMES_AT_ONCE = 200;
const NAMES_KEPT_MS = 60_000;
const names = new Map();
let namesSince = 0;

/** The names of these keys by id, where they may be known; each is asked for once a minute at most. */
export async function keyNames(ids, signal) {
  if (!may("GET /admin/keys")) return new Map();
  if (Date.now() - namesSince > NAMES_KEPT_MS) {
    names.clear();
    namesSince = Date.now();
  }
  const unknown = [...new Set(ids)].filter((id) => id?.startsWith("key_") && !names.has(id));
  while (unknown.length > 0) {
    const some = unknown.splice(0, NAMES_AT_ONCE);
    const { data } = await get("/admin/keys", { ids: some.join(",") }, signal);
    for (const id of some) names.set(id, undefined);
    for (const one of data) names.set(one.id, one.name);
  }
  return names;
}

/** The answer itself, for who reads it as it comes. Throws ApiError unless it is a good one. */
export async function open(method, path, options) {
  const response = await sent(method, path, options);
  if (!response.ok) await read(response);
  return response;
}
