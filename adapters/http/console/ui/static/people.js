import { html, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Badge, Card, Dialog, Field, Heading, Loaded, Note, ReadOnly, announce, useBusy } from "./ui.js";
import { onDay } from "./format.js";

const roles = {
  owner: { name: "Owner", text: "Sees and changes everything: keys, plan, people. Our mails go to owners." },
  reader: { name: "Reader", text: "Sees everything and changes nothing." },
};

const Role = ({ role }) => html`<${Badge} kind=${role === "owner" ? "good" : "plain"}>${roles[role].name}<//>`;

export function People({ session, onSession, onLeft }) {
  const people = useRead("people");
  const [managed, setManaged] = useState(null);
  const done = async (text, left) => {
    setManaged(null);
    announce(text);
    if (left) { onLeft(); return; }
    await people.reload();
    onSession();
  };
  return html`<${Heading} title="People"><p class="muted">Who may act for this customer, each with a login of their own.</p><//>
    <${ReadOnly} session=${session} />
    <${Loaded} of=${people} lines=${6}>${(data) => { const owner = data.role === "owner"; return html`
      <${Card} title="People"><ul class="people">${data.people.map((p) => html`<li key=${p.account}>
        <div class="person"><strong>${p.name}${p.you && html` <span class="muted">(you)</span>`}</strong><span class="muted wrap">${p.email}</span></div>
        <div class="person-role"><${Role} role=${p.role} /><span class="muted">since ${onDay(p.since)}</span></div>
        ${owner && html`<button class="button button-small" data-manage=${p.email} onClick=${() => setManaged(p)}>Change<span class="visually-hidden"> ${p.name}</span></button>`}</li>`)}</ul><//>
      ${(owner || data.invitations.length > 0) && html`<${Card} title="Invitations">
        ${data.invitations.length > 0 && html`<ul class="people">${data.invitations.map((i) => html`<${Invitation} key=${i.id} of=${i} owner=${owner} onDone=${done} />`)}</ul>`}
        ${owner && html`<${Invite} onDone=${done} />`}<//>`}
      ${managed && html`<${Manage} of=${managed} people=${data.people} onClose=${() => setManaged(null)} onDone=${done} />`}`; }}<//>`;
}

function Invitation({ of: invitation, owner, onDone }) {
  const { busy, error, run } = useBusy();
  const withdraw = () => run(async () => { await command(`invitations/${invitation.id}/withdraw`); await onDone("Invitation withdrawn"); });
  return html`<li><div class="person"><strong class="wrap">${invitation.email}</strong>
      <span class="muted">${invitation.expired ? "Expired on" : "Valid until"} ${onDay(invitation.expiresAt)}</span>
      ${error && html`<span class="field-error" role="alert">${error.message}</span>`}</div>
    <div class="person-role"><${Role} role=${invitation.role} />${invitation.expired && html`<${Badge} kind="warn">Expired<//>`}</div>
    ${owner && html`<button class="button button-small" disabled=${busy} onClick=${withdraw}>Withdraw<span class="visually-hidden"> the invitation of ${invitation.email}</span></button>`}</li>`;
}

function Invite({ onDone }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("reader");
  const { busy, error, run } = useBusy();
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      await command("people/invite", { email, role });
      setEmail("");
      await onDone("Invitation sent to " + email);
    });
  };
  const wrong = error?.fields?.email;
  return html`<form class="stack narrow" onSubmit=${submit} novalidate><h3>Invite somebody</h3>
    ${error && !wrong && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <${Field} id="invite-email" label="Work email" type="email" autocomplete="off" value=${email} onValue=${setEmail} wrong=${wrong} />
    <fieldset class="choices"><legend class="visually-hidden">Role</legend>${Object.entries(roles).map(([id, r]) => html`<label key=${id} class=${"choice" + (role === id ? " is-chosen" : "")}>
      <input type="radio" name="role" id=${"invite-" + id} checked=${role === id} onChange=${() => setRole(id)} /><span><strong>${r.name}</strong><span class="muted">${r.text}</span></span></label>`)}</fieldset>
    <div class="actions"><button class="button button-primary" id="invite" disabled=${busy}>${busy ? "Working…" : "Send the invitation"}</button></div>
    <p class="small">They get a mail with a link that is valid for seven days. Another invitation to the same address replaces the first.</p></form>`;
}

// Manage is what an owner decides about one person.
function Manage({ of: person, people, onClose, onDone }) {
  const { busy, error, run } = useBusy();
  const other = person.role === "owner" ? "reader" : "owner";
  const only = person.role === "owner" && people.filter((p) => p.role === "owner").length === 1;
  const decide = (what, body, said, left) => () => run(async () => { await command(`people/${person.account}/${what}`, body); await onDone(said, left); });
  return html`<${Dialog} title=${person.you ? "You" : person.name} onClose=${busy ? undefined : onClose}>
    <p class="muted wrap">${person.email}, ${roles[person.role].name.toLowerCase()}</p>
    ${error && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    ${only && html`<p class="note">${person.you ? "You are" : "This is"} the only owner, and a customer needs one. ${person.you ? "Make somebody else an owner, or pass the ownership on, before you step back." : ""}</p>`}
    ${!only && html`<div class="decision"><button class="button" id="change-role" onClick=${decide("role", { to: other }, `${person.you ? "You are" : person.name + " is"} ${other === "owner" ? "an owner" : "a reader"} now`)} disabled=${busy}>Make ${other === "owner" ? "an owner" : "a reader"}</button>
      <span class="muted">Then ${person.you ? "you" : "this person"} ${other === "owner" ? "can see and change everything" : "can see everything and change nothing"}.</span></div>`}
    ${!person.you && html`<div class="decision"><button class="button" id="pass-on" onClick=${decide("pass-on", {}, `${person.name} is the owner in your place`)} disabled=${busy}>Pass my ownership on</button>
      <span class="muted">Then ${person.name} is an owner in your place, and you are a reader.</span></div>`}
    ${!only && html`<div class="decision"><button class="button button-danger" id="remove" onClick=${decide("remove", {}, person.you ? "You have left" : person.name + " is removed", person.you)} disabled=${busy}>${person.you ? "Leave" : "Remove"}</button>
      <span class="muted">${person.you ? "You no longer see or change anything of this customer." : "The login stays, but sees and changes nothing of this customer any more."}</span></div>`}
    <div class="actions dialog-actions"><button class="button" onClick=${onClose} disabled=${busy} autofocus>Close</button></div><//>`;
}
