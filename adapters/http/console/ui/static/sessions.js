// Where somebody is logged in, and how to end it.

import { html, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Badge, Card, Dialog, Field, Loaded, Note, announce, useBusy } from "./ui.js";
import { atHour, onDay } from "./format.js";

const at = (time) => onDay(time) + ", " + atHour(time);

export function Sessions({ email }) {
  const sessions = useRead("account/sessions");
  const [ending, setEnding] = useState(null); // a session, or all others
  const done = async (said) => {
    setEnding(null);
    announce(said);
    await sessions.reload();
  };
  return html`<${Card} title="Sessions"><p class="muted">Where you are logged in. Sign out what is not with you.</p>
    <${Loaded} of=${sessions} lines=${2}>${(data) => html`<ul class="people" id="sessions">${data.sessions.map((s) => html`<li key=${s.id}>
        <div class="person"><strong>${s.browser}${s.you && html` <${Badge} kind="good">This one<//>`}</strong><span class="muted wrap">${s.address}</span></div>
        <div class="person-role"><span class="muted">used ${at(s.usedAt)}, since ${at(s.beganAt)}</span></div>
        ${!s.you && html`<button class="button button-small" data-end=${s.id} onClick=${() => setEnding(s)}>Sign out<span class="visually-hidden"> ${s.browser}</span></button>`}</li>`)}</ul>
      <div class="actions"><button class="button" id="sign-out-others" onClick=${() => setEnding(others)}>Sign out other sessions</button></div>`}<//>
    ${ending && html`<${End} of=${ending} email=${email} onClose=${() => setEnding(null)} onDone=${done} />`}<//>`;
}

const others = { path: "account/sign-out-others", title: "Sign out other sessions?", text: "Every browser but this one has to log in again. API keys are not affected.", apply: "Sign out others", said: "Other sessions are signed out" };
const one = (session) => ({ path: `account/sessions/${session.id}/end`, title: "Sign out this session?", text: `${session.browser}, ${session.address}, has to log in again. API keys are not affected.`, apply: "Sign out", said: "The session is signed out" });

function End({ of, email, onClose, onDone }) {
  const { path, title, text, apply, said } = of.path ? of : one(of);
  const [password, setPassword] = useState("");
  const { busy, error, run } = useBusy();
  const submit = (event) => {
    event.preventDefault();
    run(async () => { await command(path, { currentPassword: password }); await onDone(said); });
  };
  const wrong = error?.fields?.currentPassword;
  return html`<${Dialog} title=${title} onClose=${busy ? undefined : onClose}><form class="stack" onSubmit=${submit} novalidate><p>${text}</p>
    ${error && !wrong && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <input class="visually-hidden" type="text" autocomplete="username" value=${email} readonly tabindex="-1" aria-hidden="true" />
    <${Field} id="end-password" label="Current password" type="password" autocomplete="current-password" autofocus value=${password} onValue=${setPassword} wrong=${wrong} />
    <div class="actions dialog-actions"><button type="button" class="button" onClick=${onClose} disabled=${busy}>Cancel</button><button class="button button-primary" id="confirm-sign-out" disabled=${busy}>${busy ? "Working…" : apply}</button></div></form><//>`;
}
