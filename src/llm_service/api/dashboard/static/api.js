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

let names = null;
let askedAt = 0;

/** The names of keys by id, where they may be known; asked for once a minute. */
export async function keyNames(signal) {
  if (!may("GET /admin/keys")) return new Map();
  if (names === null || Date.now() - askedAt > 60_000) {
    const { data } = await get("/admin/keys", { limit: 1000 }, signal);
    names = new Map(data.map((one) => [one.id, one.name]));
    askedAt = Date.now();
  }
  return names;
}

/** The answer itself, for who reads it as it comes. Throws ApiError unless it is a good one. */
export async function open(method, path, options) {
  const response = await sent(method, path, options);
  if (!response.ok) await read(response);
  return response;
}
