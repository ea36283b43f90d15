// The JSON API: reads, commands, and what the two owe each other. A command returns the position of the log after it; every
// read from then on passes it, and the server waits until the read model shows it.

import { useCallback, useEffect, useRef, useState } from "./vendor/preact.js";

const positionKey = "liveness.position";
const customerKey = "liveness.customer";

// The customer that this tab shows. Every request names it: another tab may show another customer, and what is pressed here
// must not happen there.
export const shownCustomer = () => sessionStorage.getItem(customerKey);
export const showCustomer = (id) => id ? sessionStorage.setItem(customerKey, id) : sessionStorage.removeItem(customerKey);

const withField = (path, name, value) => value ? path + (path.includes("?") ? "&" : "?") + name + "=" + value : path;
const named = (path) => withField(path, "customer", shownCustomer());

// download is the address of a file to save.
export const download = (path) => "/console/api/" + named(path);

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.message);
    this.status = status;
    this.code = problem.code;
    this.fields = Object.fromEntries((problem.fields ?? []).map((f) => [f.name, f.message]));
  }
}

const unreachable = { code: "unreachable", message: "The server cannot be reached. Check your connection; the console keeps trying." };

// Screens that lost their session wait here for a new login and then go on where they were.
let askToLogIn = null;
let loggingIn = null;
export const onSignedOut = (ask) => { askToLogIn = ask; };

async function send(method, path, body) {
  let response;
  try {
    response = await fetch("/console/api/" + named(path), {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, unreachable);
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return { answer, behind: response.headers.has("Console-Behind") };
  throw new ApiError(response.status, answer.error ?? { code: "unexpected", message: "The server gave an answer that is not understood. Please try again." });
}

async function sendLoggedIn(method, path, body) {
  try {
    return await send(method, path, body);
  } catch (error) {
    if (error.code !== "login_required" || !askToLogIn) throw error;
    loggingIn ??= askToLogIn().finally(() => { loggingIn = null; });
    await loggingIn;
    return send(method, path, body);
  }
}

export async function read(path) {
  return sendLoggedIn("GET", withField(path, "after", sessionStorage.getItem(positionKey)));
}

export async function command(path, body = {}) {
  const { answer } = await sendLoggedIn("POST", path, body);
  if (answer.position && answer.position !== "0") sessionStorage.setItem(positionKey, answer.position);
  return answer;
}

export const logIn = (email, password) => send("POST", "login", { email, password });

// passing says whether a failure is one that goes away by itself.
const passing = (error) => error !== null && (error.status === 0 || error.status === 503);

// useRead gives what a path reads, and keeps showing it while it is read again. every is the pause in milliseconds after
// which it is read again by itself, while somebody looks.
export function useRead(path, every = 0) {
  const [state, setState] = useState({ data: null, error: null, behind: false });
  const current = useRef(path);
  current.current = path;
  const reload = useCallback(async () => {
    try {
      const { answer, behind } = await read(path);
      if (current.current === path) setState({ path, data: answer, error: null, behind });
    } catch (error) {
      if (current.current === path) setState((old) => ({ path, data: old.path === path ? old.data : null, error, behind: false }));
    }
  }, [path]);
  useEffect(() => { reload(); }, [reload]);
  useEffect(() => {
    const pause = state.behind ? 1000 : passing(state.error) ? 3000 : every;
    if (!pause) return undefined;
    const timer = setInterval(() => { if (!document.hidden) reload(); }, pause);
    return () => clearInterval(timer);
  }, [reload, every, state.behind, state.error]);
  return { ...(state.path === path ? state : { data: null, error: null }), reload };
}
