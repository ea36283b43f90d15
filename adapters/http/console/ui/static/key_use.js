// What the customer's keys are called, when they were last used, and how one is replaced without downtime.

import { html, useState } from "./vendor/preact.js";
import { command } from "./api.js";
import { Badge, Card, Dialog, Note, useBusy } from "./ui.js";
import { atHour, count, onDay } from "./format.js";

const names = { primary: "Primary", secondary: "Secondary" };

export function KeyName({ of: key, fixed, onRename }) {
  if (fixed && !key.name) return null;
  return html`<p class="key-name">${key.name && html`<strong class="wrap" id=${"name-" + key.slot}>${key.name}</strong> `}
    ${!fixed && html`<button type="button" class="link" id=${"rename-" + key.slot} onClick=${onRename}>${key.name ? "Rename" : "Give it a name"}<span class="visually-hidden">, ${names[key.slot]} key</span></button>`}</p>`;
}

const hourOf = (time) => `${onDay(time)}, ${atHour(time).slice(0, 2)}:00 UTC`;

// LastUse says in which hour a key was last used.
export const LastUse = ({ of: key }) => key.prefix ? html`<span class="last-use" id=${"used-" + key.slot}>${key.usedAt ? "Last used " + hourOf(key.usedAt) : key.useKnown ? "Not used since it was issued" : "Last use is being worked out"}</span>` : null;

const day = 86_400_000;
const inUse = (key) => Boolean(key.usedAt) && Date.now() - new Date(key.usedAt) < day;

// Rotation explains how the two keys replace each other, and says which one is still in use.
export function Rotation({ data }) {
  const primary = data.keys.find((k) => k.slot === "primary");
  const secondary = data.keys.find((k) => k.slot === "secondary");
  return html`<${Card} title="Rotate without downtime">
    ${data.replaced.map((r) => html`<${Note} key=${r.prefix} kind="warn"><strong>A ${names[r.slot]} key that was replaced is still sent:</strong> <code>${r.prefix}…</code>, ${count(r.calls)} ${r.calls === 1 ? "call" : "calls"} refused with 401, the last on ${hourOf(r.lastAt)}. Something of yours has the old key.<//>`)}
    <p class="muted">Two keys work at the same time, so that your application never stands without one.</p>
    <ol class="todo"><li>Put the Secondary key into your application, wherever the Primary key is. <${InUse} of=${secondary} wanted /></li>
      <li>Wait until nothing uses the Primary key any more. <${InUse} of=${primary} /></li>
      <li>Regenerate the Primary key here; the old one is dead at once.</li>
      <li>Put the new Primary key into your application. The Secondary is the stand-in again.</li></ol><//>`;
}

// InUse says whether a key is in use, and looks good when that is as wanted.
function InUse({ of: key, wanted = false }) {
  const name = names[key.slot];
  if (!key.prefix) return html`<span class="in-use"><${Badge}>Not issued<//></span>`;
  if (inUse(key)) return html`<span class="in-use"><${Badge} kind=${wanted ? "good" : "warn"}>${name} in use, ${hourOf(key.usedAt)}<//></span>`;
  if (!key.useKnown) return html`<span class="in-use"><${Badge}>${name}: being worked out<//></span>`;
  return html`<span class="in-use"><${Badge} kind=${wanted ? "plain" : "good"}>${name} not used in the last 24 hours<//></span>`;
}

export function Rename({ of: key, onClose, onDone }) {
  const [text, setText] = useState(key.name);
  const { busy, error, run } = useBusy();
  const save = (event) => {
    event.preventDefault();
    run(async () => { await command(`keys/${key.slot}/name`, { name: text }); await onDone(); });
  };
  const wrong = error?.fields?.name;
  return html`<${Dialog} title=${`Name the ${names[key.slot]} key`} onClose=${busy ? undefined : onClose}><form class="stack" onSubmit=${save} novalidate>
    <p class="muted">Say what uses it, like “production” or “mobile app”. The name stays when the key is replaced; empty takes it away.</p>
    <div class="field"><label for="key-name">Name</label><input id="key-name" maxlength="40" autocomplete="off" autofocus value=${text} onInput=${(e) => setText(e.target.value)} aria-invalid=${wrong ? "true" : undefined} aria-describedby="key-name-error" />
      <p class="field-error" id="key-name-error" role="alert">${wrong}</p></div>
    ${error && !wrong && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <div class="actions dialog-actions"><button type="button" class="button" onClick=${onClose} disabled=${busy}>Cancel</button><button class="button button-primary" id="save-name" disabled=${busy}>${busy ? "Working…" : "Save"}</button></div></form><//>`;
}
