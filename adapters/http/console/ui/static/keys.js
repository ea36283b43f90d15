import { html, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Badge, Card, Copy, Dialog, Heading, Loaded, Note, ReadOnly, announce, useBusy, useStay } from "./ui.js";
import { FirstCall, UsageCall } from "./code.js";
import { KeyName, LastUse, Rename, Rotation } from "./key_use.js";
import { onDay } from "./format.js";

const names = { primary: "Primary", secondary: "Secondary" };
const purposes = { primary: "The key your application uses.", secondary: "The stand-in while you replace the Primary key." };

export function Keys({ session, onHold }) {
  const keys = useRead("keys");
  const [asking, setAsking] = useState(null);
  const [naming, setNaming] = useState(null);
  const baseUrl = session?.baseUrl ?? location.origin;
  const ended = session?.status === "ended";
  const reads = session?.role !== "owner"; // nothing is offered before it is known to whom
  const issued = (key) => {
    setAsking(null);
    keys.reload();
    onHold(html`<${Issued} of=${key} onClose=${() => { onHold(null); announce(names[key.slot] + " key replaced"); }} />`);
  };
  return html`<${Heading} title="API keys"><p class="muted">Send one of them in the <code>X-API-Key</code> header. Keys are shown in full only when they are issued.</p><//>
    <${ReadOnly} session=${session} />
    <${Loaded} of=${keys} lines=${5}>${(data) => html`<div class="key-list">${data.keys.map((key) => html`<section class="card key" key=${key.slot} aria-label=${names[key.slot] + " key"}>
        <div><div class="figure-head"><h2>${names[key.slot]}</h2><${KeyState} of=${key} status=${session?.status} /></div>
        <p class="muted">${ended ? "Calls with it are refused, because the subscription has ended." : purposes[key.slot]}</p><${KeyName} of=${key} fixed=${ended || reads} onRename=${() => setNaming(key)} /></div>
        <p class="key-prefix mono" id=${"prefix-" + key.slot}>${key.prefix ? key.prefix + "…" : "no key yet"}</p>
        <div class="key-foot"><span class="muted">${key.issuedAt ? "Issued " + onDay(key.issuedAt) : ""}<${LastUse} of=${key} /></span>
          ${!ended && html`<button class="button" disabled=${reads} id=${"regenerate-" + key.slot} onClick=${() => setAsking(key)}>${key.prefix ? "Regenerate" : "Issue key"}<span class="visually-hidden"> ${names[key.slot]} key</span></button>`}</div>
      </section>`)}</div>
      ${!ended && html`<${Rotation} data=${data} />
      <${Card} title="Use a key"><div class="stack"><${FirstCall} /><${UsageCall} baseUrl=${baseUrl} /></div><//>`}`}<//>
    ${naming && html`<${Rename} of=${naming} onClose=${() => setNaming(null)} onDone=${async () => { await keys.reload(); setNaming(null); announce(names[naming.slot] + " key named"); }} />`}
    ${asking && html`<${Confirm} of=${asking} onClose=${() => { setAsking(null); keys.reload(); }} onIssued=${issued} />`}`;
}

// KeyState says whether calls with a key are answered.
const KeyState = ({ of: key, status }) => {
  if (!key.prefix) return html`<${Badge} kind="warn">Not issued<//>`;
  if (!status) return null;
  return { ended: html`<${Badge} kind="bad">Ended<//>`, scheduled: html`<${Badge}>Starts later<//>` }[status] ?? html`<${Badge} kind="good">Active<//>`;
};

function Confirm({ of: key, onClose, onIssued }) {
  const { busy, error, run } = useBusy();
  useStay(busy);
  const name = names[key.slot];
  const replace = () => run(async () => onIssued(await command(`keys/${key.slot}/regenerate`, { replaces: key.prefix })));
  const lost = error?.status === 0;
  const replaced = error?.code === "key_replaced" || lost || error?.status >= 500; // which may come after the key was replaced
  return html`<${Dialog} title=${key.prefix ? `Regenerate the ${name} key?` : `Issue the ${name} key?`} onClose=${busy ? undefined : onClose}>
    ${key.prefix ? html`<p><code>${key.prefix}…</code> stops working the moment you confirm, on every server. Whatever still uses it gets 401.</p>
      <p class="muted">To rotate without downtime, move your application to the ${key.slot === "primary" ? "Secondary" : "Primary"} key first.</p>` : html`<p>The key is shown once, right after you confirm.</p>`}
    ${error && html`<${Note} kind="bad" role="alert">${error.message} ${lost && "Whether the key was replaced is not known. Look at the current one: if it has changed, regenerate it again, since nobody has seen it."}<//>`}
    <div class="actions dialog-actions"><button class="button" onClick=${onClose} disabled=${busy} autofocus>${replaced ? "Show the current key" : "Cancel"}</button>
      ${!replaced && html`<button class=${"button " + (key.prefix ? "button-danger" : "button-primary")} id="confirm-regenerate" onClick=${replace} disabled=${busy}>${busy ? "Working…" : key.prefix ? "Regenerate" : "Issue key"}</button>`}</div><//>`;
}

// Issued shows a key that nobody can be shown again, on whichever screen, until it is acknowledged.
function Issued({ of: issued, onClose }) {
  useStay(true);
  return html`<${Dialog} className="dialog-still" title=${`Your new ${names[issued.slot]} key`}><p><strong>It is shown only now.</strong> Copy it to a safe place before you close this.</p>
    <div class="with-button"><code class="mono secret-key" id="new-key">${issued.key}</code><${Copy} text=${issued.key} from="new-key" what="the new key" /></div>
    <div class="dialog-rest" tabindex="0" role="group" aria-label="Code with the new key"><${FirstCall} apiKey=${issued.key} id="issued" /></div>
    <div class="actions dialog-actions"><button class="button button-primary" id="key-saved" onClick=${onClose}>I have saved it</button></div><//>`;
}
