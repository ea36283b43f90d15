// A login over whatever was on the screen when the session ended, so that nothing on it is lost.

import { html, useState } from "./vendor/preact.js";
import { logIn } from "./api.js";
import { Dialog, Note, useBusy } from "./ui.js";

export function LoginAgain({ email, onDone }) {
  const [address, setAddress] = useState(email ?? "");
  const [password, setPassword] = useState("");
  const { busy, error, run } = useBusy();
  const submit = (event) => {
    event.preventDefault();
    run(async () => { await logIn(address, password); onDone(); });
  };
  return html`<${Dialog} title="Your session has ended"><p class="muted">Log in to go on. What is on the screen stays as it is.</p>
    ${error && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <form class="stack" onSubmit=${submit} novalidate>
      <div class="field"><label for="again-email">Work email</label><input id="again-email" type="email" autocomplete="username" required value=${address} onInput=${(e) => setAddress(e.target.value)} /></div>
      <div class="field"><label for="again-password">Password</label><input id="again-password" type="password" autocomplete="current-password" required autofocus=${Boolean(email)} value=${password} onInput=${(e) => setPassword(e.target.value)} /></div>
      <div class="actions dialog-actions"><a class="button button-quiet" href="/console/password/forgot">Forgot it?</a><button class="button button-primary" id="again-password-submit" disabled=${busy}>Log in</button></div>
    </form><//>`;
}
