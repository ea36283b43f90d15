// The JSON API: reads, commands, and what the two owe each other. A command returns the position of the log after it; the reads
// that follow pass it, and the server waits until the read model shows it.

import { useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { later } from "./attention.js";

const positionKey = "liveness.position";
const customerKey = "liveness.customer";

// The customer that this tab shows. Every request names it: another tab may show another customer, and what is pressed here
// must not happen there.
export const shownCustomer = () => sessionStorage.getItem(customerKey);
export const showCustomer = (id) => id ? sessionStorage.setItem(customerKey, id) : sessionStorage.removeItem(customerKey);

const withField = (path, name, value) => value ? path + (path.includes("?") ? "&" : "?") + name + "=" + value : path;
const named = (path) => withField(path, "customer", shownCustomer());

// lastIn is what a path ends with: which one of its kind a screen is about.
export const lastIn = (path) => path.slice(path.lastIndexOf("/") + 1);

// download is the address of a file to save.
export const download = (path) => "/console/api/" + named(path);

// A position is passed on for as long as a read model may lack it. Longer would let one that stands still, or a log that was
// begun anew, slow every later read.
const followFor = 60_000;

function remember(position) {
  const known = remembered();
  if (!known || BigInt(position) > BigInt(known)) sessionStorage.setItem(positionKey, position + "@" + Date.now());
}

function remembered() {
  const [position, at] = (sessionStorage.getItem(positionKey) ?? "").split("@");
  return Date.now() - at < followFor ? position : null;
}

// What was changed in one tab is read again in the others.
const tabs = new BroadcastChannel("liveness");
const readers = new Set();
tabs.onmessage = ({ data }) => {
  remember(data.position);
  for (const reload of readers) reload();
};

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.message);
    this.status = status;
    this.code = problem.code;
    this.fields = Object.fromEntries((problem.fields ?? []).map((f) => [f.name, f.message]));
  }

  // passing says whether the failure is one that goes away by itself.
  get passing() { return this.status === 0 || this.status === 503; }
}

const unreachable = { code: "unreachable", message: "The server cannot be reached. Check your connection." };

// Screens that lost their session wait here for a new login, and commands that need the password for it, and then go on where
// they were. Who does not give the password calls the command off.
let askToLogIn = null;
let loggingIn = null;
export const onSignedOut = (ask) => { askToLogIn = ask; };
let askForPassword = null;
export const onPasswordNeeded = (ask) => { askForPassword = ask; };

// answerTimeout is longer than the server takes for anything it still answers.
const answerTimeout = 20_000;

async function send(method, path, body) {
  let response;
  try {
    response = await fetch("/console/api/" + named(path), {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(answerTimeout),
    });
  } catch {
    throw new ApiError(0, unreachable);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && !answer) throw new ApiError(0, unreachable); // it was cut off: a screen cannot be drawn of what it lacks
  if (response.ok) return { answer, behind: response.headers.has("Console-Behind") };
  throw new ApiError(response.status, answer?.error ?? { code: "unexpected", message: "The server gave an answer that is not understood. Please try again." });
}

async function sendLoggedIn(method, path, body) {
  try {
    return await send(method, path, body);
  } catch (error) {
    if (error.code === "password_required" && askForPassword && (await askForPassword())) return send(method, path, body);
    if (error.code !== "login_required" || !askToLogIn) throw error;
    loggingIn ??= askToLogIn().finally(() => { loggingIn = null; });
    await loggingIn;
    return send(method, path, body);
  }
}

export async function read(path) {
  return sendLoggedIn("GET", withField(path, "after", remembered()));
}

export async function command(path, body = {}) {
  const { answer } = await sendLoggedIn("POST", path, body);
  if (answer.position && answer.position !== "0") {
    remember(answer.position);
    tabs.postMessage({ position: answer.position });
  }
  return answer;
}

export const logIn = (email, password, code = "") => send("POST", "login", { email, password, code });

export const confirmPassword = (currentPassword) => command("account/confirm", { currentPassword });

// oneAtATime keeps work from overlapping itself: who asks for it while it is under way gets the next turn, which begins after it.
function oneAtATime(work) {
  let now = null;
  let next = null;
  const begin = () => {
    next = null;
    now = work().finally(() => { now = null; });
    return now;
  };
  return () => now ? (next ??= now.then(begin)) : begin();
}

const nothing = { data: null, error: null, behind: 0 };
const mostBehind = 5; // reads in a row that lack the last change, before a screen that does not live leaves it to the person

// pauseAfter says how long after a read the next one comes by itself, in milliseconds; 0 when none does.
function pauseAfter({ error, behind }, every) {
  if (error?.passing) return 1500;
  if (behind && behind < mostBehind) return 250 * 2 ** behind;
  return every;
}

// useRead gives what a path reads, and keeps showing it while it is read again: when another tab has changed something, when
// somebody comes back to the tab, after a failure that passes, and every so many milliseconds while somebody looks.
export function useRead(path, every = 0) {
  const [state, setState] = useState(nothing);
  const current = useRef(path);
  current.current = path;
  const reload = useMemo(() => oneAtATime(async () => {
    try {
      const { answer, behind } = await read(path);
      if (current.current === path) setState((old) => ({ path, data: answer, error: null, behind: behind ? old.behind + 1 : 0, at: Date.now() }));
    } catch (error) {
      if (current.current === path) setState((old) => ({ path, data: old.path === path ? old.data : null, error, behind: 0, at: Date.now() }));
    }
  }), [path]);
  useEffect(() => {
    current.current = path;
    reload();
    readers.add(reload);
    return () => { readers.delete(reload); current.current = null; };
  }, [reload]);
  useEffect(() => {
    const pause = pauseAfter(state, every);
    return state.at && pause ? later(pause, reload) : undefined;
  }, [reload, every, state]);
  useEffect(() => {
    const returned = () => { if (!document.hidden) reload(); };
    document.addEventListener("visibilitychange", returned);
    addEventListener("online", returned);
    return () => { document.removeEventListener("visibilitychange", returned); removeEventListener("online", returned); };
  }, [reload]);
  return { ...(state.path === path ? state : nothing), reload };
}
