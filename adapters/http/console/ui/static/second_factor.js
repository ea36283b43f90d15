// A second step at login: codes of an app, and recovery codes for when it is not there.

import { html, useState } from "./vendor/preact.js";
import { command } from "./api.js";
import { Badge, Card, Copy, Dialog, Field, Note, announce, useBusy, useStay } from "./ui.js";
import { onDay } from "./format.js";

export function SecondFactor({ account, onChanged }) {
  const [doing, setDoing] = useState(null); // what is being done: on, off, codes
  const [codes, setCodes] = useState(null);
  const on = account.secondFactorSince;
  const close = () => setDoing(null);
  const issued = (fresh) => { close(); setCodes(fresh); onChanged(); };
  const off = () => { close(); announce("Two-step login is off"); onChanged(); };
  return html`<${Card} title="Two-step login" aside=${on ? html`<${Badge} kind="good">On<//>` : html`<${Badge}>Off<//>`}>
    ${on ? html`<p class="muted">Since ${onDay(on)} a login needs a code of your authenticator app besides the password. <strong id="codes-left">${account.recoveryCodesLeft}</strong> recovery codes are left.</p>
      ${account.recoveryCodesLeft < 3 && html`<${Note} kind="warn">Few recovery codes are left. Without them and your app you cannot log in: make new ones.<//>`}
      <div class="actions"><button class="button" id="recovery-codes" onClick=${() => setDoing("codes")}>Make new recovery codes</button>
        <button class="button button-danger" id="second-factor-off" onClick=${() => setDoing("off")}>Switch off</button></div>`
    : html`<p class="muted">With it, nobody who learns your password can log in without your phone. You need an authenticator app, as Google Authenticator, 1Password or Aegis.</p>
      <div class="actions"><button class="button" id="second-factor-on" onClick=${() => setDoing("on")}>Switch on</button></div>`}
    ${doing === "on" && html`<${SwitchOn} email=${account.email} onClose=${close} onDone=${issued} />`}
    ${doing === "off" && html`<${WithCode} email=${account.email} path="account/second-factor/remove" title="Switch two-step login off?" text="The password is enough for a login then." apply="Switch off" onClose=${close} onDone=${off} />`}
    ${doing === "codes" && html`<${WithCode} email=${account.email} path="account/second-factor/recovery-codes" title="Make new recovery codes?" text="Those that you have no longer work then." apply="Make new codes" onClose=${close} onDone=${(answer) => issued(answer.recoveryCodes)} />`}
    ${codes && html`<${RecoveryCodes} codes=${codes} onClose=${() => { setCodes(null); announce("Two-step login is on"); }} />`}<//>`;
}

const Username = ({ email }) => html`<input class="visually-hidden" type="text" autocomplete="username" value=${email} readonly tabindex="-1" aria-hidden="true" />`;

function SwitchOn({ email, onClose, onDone }) {
  const [password, setPassword] = useState("");
  const [prepared, setPrepared] = useState(null);
  const [code, setCode] = useState("");
  const { busy, error, run } = useBusy();
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      if (prepared) onDone((await command("account/second-factor/add", { code })).recoveryCodes);
      else setPrepared(await command("account/second-factor/prepare", { currentPassword: password }));
    });
  };
  const wrong = error?.fields ?? {};
  return html`<${Dialog} title="Switch two-step login on" onClose=${busy ? undefined : onClose}><form class="stack" onSubmit=${submit} novalidate>
    ${error && !wrong.currentPassword && !wrong.code && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    ${prepared ? html`<p>Take this picture with your authenticator app, or type the key into it. Then enter the code that it shows.</p>
      <p><img src=${prepared.picture} width="200" height="200" alt="QR code of the key below" /></p>
      <p class="with-button"><code class="mono wrap" id="factor-secret">${prepared.secret}</code><${Copy} text=${prepared.secret} from="factor-secret" what="the key" /></p>
      <${Field} id="factor-code" label="Code" autocomplete="one-time-code" autofocus value=${code} onValue=${setCode} wrong=${wrong.code} />`
    : html`<${Username} email=${email} /><${Field} id="factor-password" label="Current password" type="password" autocomplete="current-password" autofocus value=${password} onValue=${setPassword} wrong=${wrong.currentPassword} />`}
    <div class="actions dialog-actions"><button type="button" class="button" onClick=${onClose} disabled=${busy}>Cancel</button>
      <button class="button button-primary" id="factor-next" disabled=${busy}>${busy ? "Working…" : prepared ? "Switch on" : "Next"}</button></div></form><//>`;
}

function WithCode({ email, path, title, text, apply, onClose, onDone }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const { busy, error, run } = useBusy();
  const submit = (event) => {
    event.preventDefault();
    run(async () => onDone(await command(path, { currentPassword: password, code })));
  };
  const wrong = error?.fields ?? {};
  return html`<${Dialog} title=${title} onClose=${busy ? undefined : onClose}><form class="stack" onSubmit=${submit} novalidate><p>${text}</p>
    ${error && !wrong.currentPassword && !wrong.code && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <${Username} email=${email} />
    <${Field} id="factor-password" label="Current password" type="password" autocomplete="current-password" autofocus value=${password} onValue=${setPassword} wrong=${wrong.currentPassword} />
    <${Field} id="factor-code" label="Code of your app, or a recovery code" autocomplete="one-time-code" value=${code} onValue=${setCode} wrong=${wrong.code} />
    <div class="actions dialog-actions"><button type="button" class="button" onClick=${onClose} disabled=${busy}>Cancel</button>
      <button class="button button-primary" id="factor-next" disabled=${busy}>${busy ? "Working…" : apply}</button></div></form><//>`;
}

// RecoveryCodes shows codes that nobody can be shown again.
function RecoveryCodes({ codes, onClose }) {
  useStay(true);
  return html`<${Dialog} className="dialog-still" title="Your recovery codes"><p><strong>They are shown only now.</strong> Each stands for a code of your app once. Keep them where you find them without your phone.</p>
    <pre class="mono" id="recovery" tabindex="0" aria-label="Recovery codes">${codes.join("\n")}</pre>
    <div class="actions dialog-actions"><${Copy} text=${codes.join("\n")} from="recovery" what="the recovery codes" /><button class="button button-primary" id="codes-saved" onClick=${onClose}>I have saved them</button></div><//>`;
}
