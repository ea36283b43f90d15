// The parts that screens are made of.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";

const paths = {
  overview: "M3 12.5 10 5l7 7.5M5.5 10.5V16h9v-5.5",
  keys: "M12.5 11.5a4 4 0 1 0-4-4c0 .5.1 1 .25 1.4L3 14.7V17h2.3l.7-.7v-1.6h1.6l2.5-2.5",
  usage: "M4 16V9.5M8 16V5M12 16v-4.5M16 16V7.5",
  try: "M3.5 6.5h3l1.2-2h4.6l1.2 2h3v9h-13zM10 13.4a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4Z",
  plan: "M3.5 6h13M3.5 6v8.5h13V6M3.5 9.5h13M6.5 12.2h3",
  activity: "M3 10h3l2-5 4 10 2-5h3",
  people: "M7.2 9.6a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4ZM2.4 15.8c.4-2.5 2.4-3.8 4.8-3.8s4.4 1.3 4.8 3.8M12.8 9.3a2.3 2.3 0 1 0-.7-4.5M14 11.9c2 .3 3.3 1.6 3.6 3.9",
  docs: "M5 3.5h7l3 3v10H5zM12 3.5v3h3M7.5 10h5M7.5 13h5",
  account: "M10 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM4 16.5c.6-2.8 3-4.3 6-4.3s5.4 1.5 6 4.3",
  menu: "M3.5 6h13M3.5 10h13M3.5 14h13",
  close: "m5 5 10 10M15 5 5 15",
  copy: "M7.5 7.5h8v8h-8zM12.5 7.5v-3h-8v8h3",
  check: "m4.5 10.5 3.5 3.5 7.5-8",
  download: "M10 3.5v9m-3.5-3.5L10 12.5 13.5 9M4 16.5h12",
  out: "M8 4H4.5v12H8M12.5 6.5 16 10l-3.5 3.5M16 10H8",
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false"><path d=${paths[name]} /></svg>`;

// Heading is a screen's title. It takes the focus when the screen is opened, so that readers hear where they are.
export function Heading({ title, children }) {
  const ref = useRef();
  useLayoutEffect(() => {
    document.title = title + " · Liveness Detection API";
    if (document.body.dataset.navigated) ref.current.focus();
  }, [title]);
  return html`<div class="heading"><h1 tabindex="-1" ref=${ref}>${title}</h1>${children}</div>`;
}

export const Card = ({ title, aside, children, className = "" }) => html`<section class=${"card " + className} aria-label=${title}>
  ${title && html`<header class="card-head"><h2>${title}</h2>${aside}</header>`}${children}</section>`;

export const Note = ({ kind, children, role }) => html`<p class=${"note note-" + kind} role=${role}>${children}</p>`;

// ReadOnly says why nothing can be pressed on a screen; the server refuses it in any case.
export const ReadOnly = ({ session }) => session?.role === "reader" ? html`<p class="note">You are a reader of this customer: you can see everything and change nothing. An owner can make you an owner.</p>` : null;

// Field is a text field with its label and what is wrong with it.
export const Field = ({ id, label, type = "text", autocomplete, autofocus, value, onValue, wrong }) => html`<div class="field"><label for=${id}>${label}</label>
  <input id=${id} type=${type} autocomplete=${autocomplete} autofocus=${autofocus} required value=${value} onInput=${(e) => onValue(e.target.value)} aria-invalid=${wrong ? "true" : undefined} aria-describedby=${id + "-error"} />
  <p class="field-error" id=${id + "-error"} role="alert">${wrong}</p></div>`;

export const Badge = ({ kind = "plain", children }) => html`<span class=${"badge badge-" + kind}>${children}</span>`;

export const Empty = ({ title, children }) => html`<div class="empty"><h3>${title}</h3><div>${children}</div></div>`;

// Loaded shows a read: a skeleton while nothing is there, the failure with a way out, else the screen.
export function Loaded({ of, lines = 4, children }) {
  const again = html`<button class="button button-small" onClick=${of.reload}>Try again</button>`;
  const failure = of.error && of.error.message + (of.error.passing ? " The console keeps trying." : "");
  if (of.data) {
    return html`${failure && html`<div class="note note-warn retry" role="status"><span>${failure} The figures below may be old.</span>${again}</div>`}
      ${of.behind > 1 && html`<div class="note note-warn retry" role="status"><span>The newest changes are not shown here yet.</span>${again}</div>`}${children(of.data)}`;
  }
  if (failure) {
    return html`<div class="card failure" role="alert"><h2>This could not be loaded</h2><p class="muted">${failure}</p>${again}</div>`;
  }
  return html`<div class="card skeleton" role="status"><span class="visually-hidden">Loading…</span>${Array.from({ length: lines }, () => html`<i />`)}</div>`;
}

// Dialog is a modal dialog for as long as it is drawn. Escape closes it unless onClose is missing; browsers close one at a repeated
// Escape whatever the page says, and then it is opened again. What opened it gets the focus back.
export function Dialog({ title, onClose, className = "", children }) {
  const ref = useRef();
  useLayoutEffect(() => {
    const dialog = ref.current;
    const opener = document.activeElement;
    dialog.showModal();
    return () => { dialog.close(); focusAgain(opener); };
  }, []);
  const cancel = (event) => { event.preventDefault(); onClose?.(); };
  const closed = () => {
    if (!ref.current || ref.current.open) return;
    if (onClose) onClose(); else ref.current.showModal();
  };
  return html`<dialog ref=${ref} class=${"dialog " + className} aria-labelledby="dialog-title" closedby=${onClose ? "closerequest" : "none"} onCancel=${cancel} onClose=${closed}><h2 id="dialog-title">${title}</h2>${children}</dialog>`;
}

// focusAgain gives the focus to what had it, or to the screen's title when that is gone.
function focusAgain(opener) {
  opener?.focus();
  if (document.activeElement !== opener || opener === document.body) document.querySelector("main h1")?.focus();
}

// useStay asks before the page is left while leaving it would lose something.
export function useStay(needed) {
  useEffect(() => {
    if (!needed) return undefined;
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [needed]);
}

// Table is a table that scrolls sideways where its place is narrower, and says so: nobody looks for columns that are cut off.
export function Table({ label, short, children }) {
  const ref = useRef();
  const [hidden, setHidden] = useState("");
  useEffect(() => {
    const place = ref.current;
    const look = () => {
      const rest = place.scrollWidth - place.clientWidth;
      const left = place.scrollLeft > 1 ? "left" : "";
      setHidden(rest < 2 ? "" : `${left} ${place.scrollLeft < rest - 1 ? "right" : ""}`);
    };
    const resized = new ResizeObserver(look);
    resized.observe(place);
    resized.observe(place.firstElementChild);
    place.addEventListener("scroll", look, { passive: true });
    return () => { resized.disconnect(); place.removeEventListener("scroll", look); };
  }, []);
  return html`${hidden && html`<p class="small table-hint">Scroll sideways for more columns.</p>`}
    <div class="table-place" data-hidden=${hidden}><div class=${"table-scroll" + (short ? " is-short" : "")} ref=${ref} tabindex="0" role="group" aria-label=${label}><table class="table">${children}</table></div></div>`;
}

// useBusy runs one command at a time and keeps its failure.
export function useBusy() {
  const [state, setState] = useState({ busy: false, error: null });
  const running = useRef(false);
  const run = async (work) => {
    if (running.current) return undefined;
    running.current = true;
    setState({ busy: true, error: null });
    try {
      const result = await work();
      setState({ busy: false, error: null });
      return result;
    } catch (error) {
      setState({ busy: false, error });
      return undefined;
    } finally {
      running.current = false;
    }
  };
  return { ...state, run, clear: () => setState({ busy: false, error: null }) };
}

// Copy puts text into the clipboard, or selects the element with the id `from` where the browser has none.
export function Copy({ text, from, label = "Copy", what = "" }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(""), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      const source = document.getElementById(from);
      if (source) getSelection().selectAllChildren(source);
      setSaid("Selected");
    }
  };
  return html`<button type="button" class="button button-small" onClick=${copy}><${Icon} name=${said === "Copied" ? "check" : "copy"} /><span aria-live="polite">${said || label}</span>${what && html`<span class="visually-hidden"> ${what}</span>`}</button>`;
}

// Snippet shows a command to be copied.
export const Snippet = ({ id, title, text }) => html`<div class="snippet"><div class="snippet-head"><h3>${title}</h3><${Copy} text=${text} from=${id} what="the command" /></div>
  <pre tabindex="0" aria-label=${title}><code id=${id}>${text}</code></pre></div>`;

// announce says something to everybody: on the screen for a while, and to screen readers.
let listener = null;
export const announce = (text) => listener?.(text);
export function Announcements() {
  const [text, setText] = useState("");
  useEffect(() => { listener = setText; return () => { listener = null; }; }, []);
  useEffect(() => {
    if (!text) return undefined;
    const timer = setTimeout(() => setText(""), 6000);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<div class="toast-place" role="status">${text && html`<p class="toast"><${Icon} name="check" />${text}</p>`}</div>`;
}
