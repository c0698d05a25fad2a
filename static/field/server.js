// Talking to the server: one function, and an error for each way it can fail.

const PATIENCE_MS = 60000;
const STRANGER = ["not_authenticated", "authentication_failed", "permission_denied"];
let token = "";

/** No answer: no reception, or none good enough. */
export class Unreachable extends Error {}
/** The server has trouble of its own (5xx) or wants to be left alone for a while (429). */
export class Troubled extends Error {}
/** Nobody is signed in, or somebody who is no officer. */
export class SignedOut extends Error {}
/** The server says no (4xx): `code` for programs, `message` for the officer, `data` all of it. */
export class Refusal extends Error {
  constructor(status, data) {
    super(data.message || `${status}`);
    this.status = status;
    this.code = data.code || "";
    this.data = data;
  }
}

/** For what can wait until there is reception: lets the errors above pass in silence, and no others. */
export function canWait(error) {
  if (![Unreachable, Troubled, SignedOut, Refusal].some((kind) => error instanceof kind)) throw error;
}

async function ask(method, path, body) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = token;
  if (body !== undefined) headers["Content-Type"] = body instanceof Blob ? "application/octet-stream" : "application/json";
  try {
    const response = await fetch(`/api/v1${path}`, {
      method,
      headers,
      body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: stop.signal,
    });
    return [response, await response.json().catch(() => ({}))];
  } catch {
    throw new Unreachable();
  } finally {
    clearTimeout(timer);
  }
}

/** Asks the server, and gives its answer's JSON. Raises the errors above. */
export async function call(method, path, body) {
  const [response, data] = await ask(method, path, body);
  if (response.ok) return data;
  if (response.status >= 500 || response.status === 429) throw new Troubled();
  if (response.status === 401 || STRANGER.includes(data.code)) throw new SignedOut();
  throw new Refusal(response.status, data);
}

/** Who is signed in; takes the token that writing requests need. SignedOut when that is no officer. */
export async function session() {
  try {
    const data = await call("GET", "/field/session");
    token = data.csrf;
    return data;
  } catch (error) {
    throw error instanceof Refusal ? new SignedOut() : error;
  }
}

export const csrf = () => token;
