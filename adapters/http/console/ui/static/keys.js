import { html, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Badge, Card, Copy, Dialog, Heading, Loaded, Note, ReadOnly, Snippet, announce, useBusy } from "./ui.js";
import { onDay } from "./format.js";
import { checkCommand, usageCommand } from "./snippets.js";

const names = { primary: "Primary", secondary: "Secondary" };
const purposes = { primary: "The key your application uses.", secondary: "The stand-in while you replace the Primary key." };

export function Keys({ session }) {
  const keys = useRead("keys");
  const [asking, setAsking] = useState(null);
  const [issued, setIssued] = useState(null);
  const baseUrl = session?.baseUrl ?? location.origin;
  return html`<${Heading} title="API keys"><p class="muted">Send one of them in the <code>X-API-Key</code> header. Keys are shown in full only when they are issued.</p><//>
    <${ReadOnly} session=${session} />
    <${Loaded} of=${keys} lines=${5}>${(data) => html`<div class="key-list">${data.keys.map((key) => html`<section class="card key" key=${key.slot} aria-label=${names[key.slot] + " key"}>
        <div><div class="figure-head"><h2>${names[key.slot]}</h2>${key.prefix ? html`<${Badge} kind="good">Active<//>` : html`<${Badge} kind="warn">Not issued<//>`}</div>
        <p class="muted">${purposes[key.slot]}</p></div>
        <p class="key-prefix mono" id=${"prefix-" + key.slot}>${key.prefix ? key.prefix + "…" : "no key yet"}</p>
        <div class="key-foot"><span class="muted">${key.issuedAt ? "Issued " + onDay(key.issuedAt) : ""}</span>
          <button class="button" disabled=${session?.role === "reader"} id=${"regenerate-" + key.slot} onClick=${() => setAsking(key)}>${key.prefix ? "Regenerate" : "Issue key"}<span class="visually-hidden"> ${names[key.slot]} key</span></button></div>
      </section>`)}</div>
      <${Card} title="Rotate without downtime"><ol class="todo"><li>Put the Secondary key into your application.</li><li>Regenerate the Primary key here; the leaked one is dead at once.</li><li>Put the new Primary key into your application.</li></ol><//>
      <${Card} title="Use a key"><div class="stack"><${Snippet} id="check-command" title="Check a face" text=${checkCommand(baseUrl)} /><${Snippet} id="usage-command" title="Read this month’s usage" text=${usageCommand(baseUrl)} /></div><//>`}<//>
    ${asking && html`<${Confirm} of=${asking} onClose=${() => { setAsking(null); keys.reload(); }} onIssued=${(key) => { setAsking(null); setIssued(key); keys.reload(); }} />`}
    ${issued && html`<${Issued} of=${issued} baseUrl=${baseUrl} onClose=${() => { setIssued(null); announce(names[issued.slot] + " key replaced"); }} />`}`;
}

function Confirm({ of: key, onClose, onIssued }) {
  const { busy, error, run } = useBusy();
  const name = names[key.slot];
  const replace = () => run(async () => onIssued(await command(`keys/${key.slot}/regenerate`, { replaces: key.prefix })));
  const replaced = error?.code === "key_replaced";
  return html`<${Dialog} title=${key.prefix ? `Regenerate the ${name} key?` : `Issue the ${name} key?`} onClose=${busy ? undefined : onClose}>
    ${key.prefix ? html`<p><code>${key.prefix}…</code> stops working the moment you confirm, on every server. Whatever still uses it gets 401.</p>
      <p class="muted">To rotate without downtime, move your application to the ${key.slot === "primary" ? "Secondary" : "Primary"} key first.</p>` : html`<p>The key is shown once, right after you confirm.</p>`}
    ${error && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <div class="actions dialog-actions"><button class="button" onClick=${onClose} disabled=${busy} autofocus>${replaced ? "Show the current key" : "Cancel"}</button>
      ${!replaced && html`<button class=${"button " + (key.prefix ? "button-danger" : "button-primary")} id="confirm-regenerate" onClick=${replace} disabled=${busy}>${busy ? "Working…" : key.prefix ? "Regenerate" : "Issue key"}</button>`}</div><//>`;
}

function Issued({ of: issued, baseUrl, onClose }) {
  return html`<${Dialog} title=${`Your new ${names[issued.slot]} key`}><p><strong>It is shown only now.</strong> Copy it to a safe place before you close this.</p>
    <div class="with-button"><code class="mono secret-key" id="new-key">${issued.key}</code><${Copy} text=${issued.key} from="new-key" what="the new key" /></div>
    <${Snippet} id="new-key-command" title="Try it" text=${usageCommand(baseUrl, issued.key)} />
    <div class="actions dialog-actions"><button class="button button-primary" id="key-saved" onClick=${onClose}>I have saved it</button></div><//>`;
}
