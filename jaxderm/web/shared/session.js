// The session of a page: its token, and requests that survive a lost connection.
//
// The token stands in the address's fragment. It is kept for this tab only and taken out of the address,
// so that it is not copied, bookmarked or shown on a screenshot.

const KEY = "jaxderm-token";

export class RequestError extends Error {
  // status 0: no answer, the program does not run or the connection is lost.
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export function takeToken() {
  const given = location.hash.slice(1);
  if (/^[\w-]{20,}$/.test(given)) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY) || "";
}

// The token of another start of the program, from the address that it printed; false if there is none.
export function adoptAddress(text) {
  const match = /([\w-]{20,})\s*$/.exec(text);
  if (match) sessionStorage.setItem(KEY, match[1]);
  return Boolean(match);
}

// The Response of a request below /api/; RequestError with the server's own sentence otherwise.
export async function call(method, path, { body, headers = {}, keepalive = false, signal } = {}) {
  let response;
  try {
    response = await fetch(`/api/${path}`, {
      method,
      body,
      keepalive,
      signal,
      headers: { "X-Session-Token": sessionStorage.getItem(KEY) || "", ...headers },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError(0, "jaxderm does not answer. What you painted is kept in this page.");
  }
  if (response.ok) return response;
  let sentence = `The request failed (status ${response.status}). Try again.`;
  try {
    sentence = (await response.json()).error || sentence;
  } catch {
    // no sentence came with it
  }
  throw new RequestError(response.status, sentence);
}

export async function callJson(method, path, value, options = {}) {
  const body = value === undefined ? undefined : JSON.stringify(value);
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  return (await call(method, path, { ...options, body, headers })).json();
}
