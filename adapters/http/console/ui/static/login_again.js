// What is asked over whatever is on the screen, so that nothing on it is lost: a login when the session has ended, and the password
// when it was given long ago.

import { html, useState } from "./vendor/preact.js";
import { confirmPassword, logIn } from "./api.js";
import { Dialog, Field, Note, useBusy } from "./ui.js";

export function LoginAgain({ email, onDone }) {
  const [address, setAddress] = useState(email ?? "");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const { busy, error, run } = useBusy();
  const [asked, setAsked] = useState(false);
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      try {
        await logIn(address, password, code);
        onDone();
      } catch (refusal) {
        if (refusal.code !== "code_required") throw refusal;
        setAsked(true);
      }
    });
  };
  return html`<${Dialog} title="Your session has ended"><p class="muted">Log in to go on. What is on the screen stays as it is.</p>
    ${error && !error.fields?.code && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <form class="stack" onSubmit=${submit} novalidate>
      <${Field} id="again-email" label="Work email" type="email" autocomplete="username" value=${address} onValue=${setAddress} />
      <${Field} id="again-password" label="Password" type="password" autocomplete="current-password" autofocus=${Boolean(email)} value=${password} onValue=${setPassword} />
      ${asked && html`<${Field} id="again-code" label="Code of your app" autocomplete="one-time-code" autofocus value=${code} onValue=${setCode} wrong=${error?.fields?.code} />`}
      <div class="actions dialog-actions"><a class="button button-quiet" href="/console/password/forgot">Forgot it?</a><button class="button button-primary" id="again-password-submit" disabled=${busy}>Log in</button></div>
    </form><//>`;
}

export function PasswordAgain({ email, onDone }) {
  const [password, setPassword] = useState("");
  const { busy, error, run } = useBusy();
  const submit = (event) => {
    event.preventDefault();
    run(async () => { await confirmPassword(password); onDone(true); });
  };
  const wrong = error?.fields?.currentPassword;
  return html`<${Dialog} title="Enter your password" onClose=${busy ? undefined : () => onDone(false)}><p class="muted">You gave it more than an hour ago. What you are about to do needs it again.</p>
    ${error && !wrong && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <form class="stack" onSubmit=${submit} novalidate>
      <input class="visually-hidden" type="text" autocomplete="username" value=${email} readonly tabindex="-1" aria-hidden="true" />
      <${Field} id="confirm-password" label="Current password" type="password" autocomplete="current-password" autofocus value=${password} onValue=${setPassword} wrong=${wrong} />
      <div class="actions dialog-actions"><button type="button" class="button" onClick=${() => onDone(false)} disabled=${busy}>Cancel</button><button class="button button-primary" id="confirm-password-submit" disabled=${busy}>${busy ? "Working…" : "Go on"}</button></div>
    </form><//>`;
}
