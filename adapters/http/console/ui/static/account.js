import { html, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Badge, Card, Field, Heading, Loaded, Note, announce, useBusy } from "./ui.js";
import { met } from "./password_rules.js";
import { onDay } from "./format.js";
import { Sessions } from "./sessions.js";
import { SecondFactor } from "./second_factor.js";

export function Account({ session }) {
  const account = useRead("account");
  return html`<${Heading} title="Account"><p class="muted">Who you are to us, and how you log in.</p><//>
    <${Loaded} of=${account} lines=${8}>${(data) => html`
      <${Card} title="Your login"><dl class="facts">
        <div><dt>Name</dt><dd>${data.firstName} ${data.lastName}</dd></div>
        <div><dt>Work email</dt><dd id="work-email">${data.email}</dd></div>
        ${data.newEmail && html`<div><dt>New work email</dt><dd id="new-work-email">${data.newEmail} <${Badge} kind="warn">Not confirmed yet<//></dd></div>`}
        ${data.activatedAt && html`<div><dt>Active since</dt><dd>${onDay(data.activatedAt)}</dd></div>`}
      </dl><//>
      ${data.customerId && html`<${Card} title="Customer"><dl class="facts">
        <div><dt>Company</dt><dd>${data.company || "not known any more"}</dd></div>
        ${data.website && html`<div><dt>Website</dt><dd>${data.website}</dd></div>`}
        <div><dt>Your role</dt><dd>${data.role === "owner" ? "Owner" : "Reader"}</dd></div>
        <div><dt>Customer ID</dt><dd class="mono">${data.customerId}</dd></div>
        <div><dt>AWS Account ID</dt><dd class="mono">${data.plan.awsAccountId}</dd></div>
        <div><dt>Subscription ID</dt><dd class="mono">${data.plan.subscriptionId}</dd></div>
      </dl>${session?.support && html`<p class="small">Something to correct, or data to be erased? Write to <a href=${"mailto:" + session.support}>${session.support}</a>.</p>`}<//>`}
      <${Email} email=${data.email} onChanged=${account.reload} />
      <${Password} email=${data.email} setAt=${data.passwordSetAt} onChanged=${account.reload} />
      <${SecondFactor} account=${data} onChanged=${account.reload} />
      <${Sessions} email=${data.email} />`}<//>`;
}

function Email({ email: current, onChanged }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [mailed, setMailed] = useState("");
  const { busy, error, run } = useBusy();
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      await command("account/email", { email, currentPassword: password });
      setMailed(email);
      setEmail("");
      setPassword("");
      onChanged();
    });
  };
  const wrong = error?.fields ?? {};
  return html`<${Card} title="Work email"><form class="stack narrow" onSubmit=${submit} novalidate>
      ${mailed && html`<${Note} kind="good" role="status">We sent a mail to ${mailed}. You log in with ${current} until you have followed the link in it.<//>`}
      ${error && !wrong.email && !wrong.currentPassword && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
      <${Field} id="new-email" label="New work email" type="email" autocomplete="email" value=${email} onValue=${setEmail} wrong=${wrong.email} />
      <${Field} id="email-password" label="Current password" type="password" autocomplete="current-password" value=${password} onValue=${setPassword} wrong=${wrong.currentPassword} />
      <div class="actions"><button class="button button-primary" id="change-email" disabled=${busy}>${busy ? "Working…" : "Change the work email"}</button></div>
      <p class="small">The new address is asked to confirm, and the old one gets a notice.</p>
    </form><//>`;
}

const labels = { length: "At least 8 characters", upper: "An upper-case letter", lower: "A lower-case letter", digit: "A digit", symbol: "A symbol" };

function Password({ email, setAt, onChanged }) {
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const { busy, error, run } = useBusy();
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      await command("account/password", { currentPassword: current, password });
      setCurrent("");
      setPassword("");
      announce("Password changed; other sessions are signed out");
      onChanged();
    });
  };
  const rules = met(password);
  const wrong = error?.fields ?? {};
  const known = wrong.currentPassword || wrong.password;
  return html`<${Card} title="Password" aside=${setAt && html`<span class="muted">Set ${onDay(setAt)}</span>`}>
    <form class="stack narrow" onSubmit=${submit} novalidate>
      ${error && !known && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
      <input class="visually-hidden" type="text" autocomplete="username" value=${email} readonly tabindex="-1" aria-hidden="true" />
      <${Field} id="current-password" label="Current password" type="password" autocomplete="current-password" value=${current} onValue=${setCurrent} wrong=${wrong.currentPassword} />
      <div class="field"><label for="new-password">New password</label><input id="new-password" type="password" autocomplete="new-password" required value=${password} onInput=${(e) => setPassword(e.target.value)} aria-invalid=${wrong.password ? "true" : undefined} aria-describedby="new-error new-rules" />
        <p class="field-error" id="new-error" role="alert">${wrong.password}</p>
        <ul class="rules" id="new-rules">${Object.entries(labels).map(([name, label]) => html`<li key=${name} class=${rules[name] ? "is-met" : ""}>${label}${password && html`<span class="visually-hidden">${rules[name] ? " (met)" : " (missing)"}</span>`}</li>`)}</ul></div>
      <div class="actions"><button class="button button-primary" disabled=${busy}>${busy ? "Working…" : "Change the password"}</button></div>
      <p class="small">All other sessions are signed out when the password changes.</p>
    </form><//>`;
}
