import { html, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Badge, Card, Dialog, Heading, Loaded, Note, announce, useBusy } from "./ui.js";
import { count, dollars, onDay } from "./format.js";

const behaviours = [
  { to: "continue", name: "Continue, pay as you go", text: "Calls beyond the limit are answered and billed individually through AWS Marketplace. Nothing your users see changes." },
  { to: "stop", name: "Stop the API", text: "Calls beyond the limit are refused with 429 quota_exceeded and cost nothing. The next month starts afresh." },
];

export function Plan() {
  const plan = useRead("plan");
  const [asking, setAsking] = useState(null);
  return html`<${Heading} title="Plan"><p class="muted">What you bought on AWS Marketplace, and what happens beyond it.</p><//>
    <${Loaded} of=${plan} lines=${8}>${(data) => html`
      <${Card} title="Your plan" aside=${html`<${Status} status=${data.plan.status} />`}><dl class="facts">
        <div><dt>Plan</dt><dd>${data.plan.name}</dd></div>
        <div><dt>Calls a month</dt><dd class="num">${count(data.plan.limit)}</dd></div>
        <div><dt>Price</dt><dd class="num">${data.plan.custom ? "by contract, from " : ""}${dollars(data.plan.priceUsd)} a month</dd></div>
        <div><dt>Used this month</dt><dd class="num">${count(data.month.calls)}, resets ${onDay(data.resetsAt)} UTC</dd></div>
        <div><dt>Subscribed since</dt><dd>${onDay(data.plan.startedAt)}</dd></div>
        ${data.plan.endedAt ? html`<div><dt>Ended</dt><dd>${onDay(data.plan.endedAt)}</dd></div>` : data.plan.expiresAt && html`<div><dt>Term until</dt><dd>${onDay(data.plan.expiresAt)}</dd></div>`}
      </dl><//>
      <${Card} title="Beyond the limit"><fieldset class="choices" disabled=${data.plan.status === "ended"}><legend class="visually-hidden">Over-limit behaviour</legend>
        ${behaviours.map((b) => html`<label class=${"choice" + (data.plan.overage === b.to ? " is-chosen" : "")} key=${b.to}>
          <input type="radio" name="overage" id=${"overage-" + b.to} value=${b.to} checked=${data.plan.overage === b.to}
            onClick=${(e) => { if (data.plan.overage !== b.to) { e.preventDefault(); setAsking(b); } }} />
          <span><strong>${b.name}</strong>${data.plan.overage === b.to && html` <${Badge} kind="good">In effect<//>`}<span class="muted">${b.text}</span></span></label>`)}
        </fieldset><p class="small">You can switch at any time. The next call follows the new behaviour, on every server.</p><//>
      <${Prices} plans=${data.plans} current=${data.plan.id} market=${data.market} />`}<//>
    ${asking && html`<${Confirm} to=${asking} month=${plan.data.month} onClose=${() => setAsking(null)} onDone=${async () => { await plan.reload(); setAsking(null); announce("Over-limit behaviour: " + asking.name); }} />`}`;
}

const Status = ({ status }) => ({
  active: html`<${Badge} kind="good">Active<//>`, ending: html`<${Badge} kind="warn">Ending<//>`, ended: html`<${Badge} kind="bad">Ended<//>`,
}[status] ?? null);

function Confirm({ to, month, onClose, onDone }) {
  const { busy, error, run } = useBusy();
  const apply = () => run(async () => { await command("plan/overage", { to: to.to }); await onDone(); });
  const atOnce = to.to === "stop" && month.remaining === 0;
  return html`<${Dialog} title=${to.to === "stop" ? "Stop the API at the limit?" : "Continue beyond the limit?"} onClose=${busy ? undefined : onClose}>
    <p>${to.text}</p>
    ${atOnce ? html`<${Note} kind="warn">This month’s limit is already used up: calls are refused from now on.<//>` : html`<p class="muted">${count(month.remaining)} calls remain this month.</p>`}
    ${error && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <div class="actions dialog-actions"><button class="button" onClick=${onClose} disabled=${busy} autofocus>Cancel</button>
      <button class=${"button " + (atOnce ? "button-danger" : "button-primary")} id="confirm-overage" onClick=${apply} disabled=${busy}>${busy ? "Working…" : to.to === "stop" ? "Stop at the limit" : "Continue beyond it"}</button></div><//>`;
}

function Prices({ plans, current, market }) {
  return html`<${Card} title="All plans"><div class="table-scroll" tabindex="0" role="region" aria-label="All plans"><table class="table"><thead><tr><th scope="col">Plan</th><th scope="col" class="end">Calls a month</th><th scope="col" class="end">Price a month</th></tr></thead>
    <tbody>${plans.map((p) => html`<tr key=${p.id} class=${p.id === current ? "is-chosen" : ""}><th scope="row">${p.name}${p.id === current && html` <${Badge} kind="good">Yours<//>`}</th><td class="num end">${count(p.monthlyCalls)}${p.custom ? "+" : ""}</td><td class="num end">${dollars(p.priceUsd)}${p.custom ? "+" : ""}</td></tr>`)}</tbody></table></div>
    <p class="small">Plans are changed on AWS Marketplace, under Manage subscriptions. ${market && html`<a href=${market}>Open the product page</a>. `}An upgrade counts at once, for the whole current month.</p><//>`;
}
