import { html, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Badge, Card, Dialog, Heading, Loaded, Note, ReadOnly, Table, announce, useBusy } from "./ui.js";
import { count, dollars, onDay } from "./format.js";
import { BeyondCost, CostCard, useCost } from "./cost.js";
import { Notifications } from "./notifications.js";

const behaviours = [
  { id: "continue", to: "continue", name: "Continue, pay as you go", text: "Calls beyond the limit are answered and billed individually through AWS Marketplace. Nothing your users see changes.", ask: "Continue beyond the limit?", apply: "Continue beyond it" },
  { id: "ceiling", to: "continue", name: "Continue up to a ceiling", text: "Calls beyond the limit are answered and billed individually, as many as you choose. Those after them are refused with 429 quota_exceeded and cost nothing. The next month starts afresh.", ask: "How many calls beyond the limit?", apply: "Set the ceiling" },
  { id: "stop", to: "stop", name: "Stop the API", text: "Calls beyond the limit are refused with 429 quota_exceeded and cost nothing. The next month starts afresh.", ask: "Stop the API at the limit?", apply: "Stop at the limit" },
];

const inEffect = (plan) => plan.overage === "stop" ? "stop" : plan.ceiling ? "ceiling" : "continue";

export function Plan({ session }) {
  const plan = useRead("plan");
  const cost = useCost();
  const [asking, setAsking] = useState(null);
  const fixed = (data) => data.plan.status === "ended" || session?.role !== "owner"; // nothing is offered before it is known to whom
  return html`<${Heading} title="Plan"><p class="muted">What you bought on AWS Marketplace, and what happens beyond it.</p><//>
    <${ReadOnly} session=${session} />
    <${Loaded} of=${plan} lines=${8}>${(data) => html`
      <${Card} title="Your plan" aside=${html`<${Status} status=${data.plan.status} />`}><dl class="facts">
        ${!waits(data) && html`<div><dt>Plan</dt><dd>${data.plan.name}</dd></div>
        <div><dt>Calls a month</dt><dd class="num">${count(data.plan.limit)}</dd></div>
        <div><dt>Price</dt><dd class="num">${data.plan.custom ? "by contract, from " : ""}${dollars(data.plan.priceUsd)} a month</dd></div>
        <div><dt>Used this month</dt><dd class="num">${count(data.month.calls)}, resets ${onDay(data.resetsAt)} UTC</dd></div>`}
        <div><dt>${waits(data) ? "Contract starts" : "Subscribed since"}</dt><dd>${onDay(data.plan.startedAt)}</dd></div>
        ${data.plan.endedAt ? html`<div><dt>Ended</dt><dd>${onDay(data.plan.endedAt)}</dd></div>` : data.plan.expiresAt && html`<div><dt>Term until</dt><dd>${onDay(data.plan.expiresAt)}</dd></div>`}
      </dl><//>
      ${!waits(data) && html`<${Card} title="Beyond the limit"><fieldset class="choices" disabled=${fixed(data)}><legend class="visually-hidden">Over-limit behaviour</legend>
        ${behaviours.map((b) => html`<${Choice} key=${b.id} of=${b} plan=${data.plan} fixed=${fixed(data)} onChoose=${() => setAsking(b)} />`)}
        </fieldset><p class="small">You can switch at any time. The next call follows the new behaviour, on every server.</p><//>
      <${CostCard} cost=${cost} />
      <${Notifications} plan=${data.plan} fixed=${fixed(data)} />`}
      <${Prices} plans=${data.plans} current=${data.plan.id} market=${data.market} />`}<//>
    ${asking && html`<${Confirm} to=${asking} plan=${plan.data.plan} month=${plan.data.month} cost=${cost.data} onClose=${() => setAsking(null)} onDone=${async () => { await Promise.all([plan.reload(), cost.reload()]); setAsking(null); announce("Over-limit behaviour: " + asking.name); }} />`}`;
}

// A contract that has not started has a plan that AWS does not tell yet.
const waits = ({ plan }) => plan.status === "scheduled";

const Status = ({ status }) => ({
  active: html`<${Badge} kind="good">Active<//>`, ending: html`<${Badge} kind="warn">Ending<//>`, ended: html`<${Badge} kind="bad">Ended<//>`,
  scheduled: html`<${Badge}>Starts later<//>`,
}[status] ?? null);

function Choice({ of, plan, fixed, onChoose }) {
  const chosen = inEffect(plan) === of.id;
  return html`<label class=${"choice" + (chosen ? " is-chosen" : "")}>
    <input type="radio" name="overage" id=${"overage-" + of.id} value=${of.id} checked=${chosen} onClick=${(e) => { if (!chosen) { e.preventDefault(); onChoose(); } }} />
    <span><strong>${of.name}</strong>${chosen && html` <${Badge} kind="good">In effect<//>`}<span class="muted">${of.text}</span>
      ${chosen && of.id === "ceiling" && html`<span class="ceiling">At most <strong class="num">${count(plan.ceiling)}</strong> calls a month beyond the limit.
        ${!fixed && html` <button type="button" class="link" id="change-ceiling" onClick=${onChoose}>Change the ceiling</button>`}</span>`}</span></label>`;
}

function Confirm({ to, plan, month, cost, onClose, onDone }) {
  const { busy, error, run } = useBusy();
  const bounded = to.id === "ceiling";
  const [ceiling, setCeiling] = useState(String(plan.ceiling ?? Math.max(1, Math.ceil(plan.limit / 10))));
  const most = to.id === "stop" ? 0 : bounded ? Number(ceiling) : Infinity;
  const atOnce = month.remaining === 0 && month.overLimit >= most && (to.id === "stop" || most > 0);
  const apply = (event) => {
    event.preventDefault();
    run(async () => { await command("plan/overage", bounded ? { to: to.to, ceiling: Number(ceiling) } : { to: to.to }); await onDone(); });
  };
  const wrong = error?.fields?.ceiling;
  return html`<${Dialog} title=${to.ask} onClose=${busy ? undefined : onClose}><form class="stack" onSubmit=${apply}>
    <p>${to.text}</p>
    ${bounded && html`<div class="field"><label for="ceiling">Most calls beyond the limit, a month</label>
      <input id="ceiling" type="number" inputmode="numeric" min="1" max="1000000000" step="1" required autofocus value=${ceiling} onInput=${(e) => setCeiling(e.target.value)} aria-invalid=${wrong ? "true" : undefined} aria-describedby="ceiling-error" />
      <p class="field-error" id="ceiling-error" role="alert">${wrong}</p></div>`}
    ${atOnce ? html`<${Note} kind="warn">This month’s calls are used up already: calls are refused from now on.<//>` : html`<p class="muted">${count(month.remaining)} calls remain this month${month.overLimit > 0 && html`, ${count(month.overLimit)} are over the limit`}.</p>`}
    ${cost && to.to === "continue" && (!bounded || most > 0) && html`<${BeyondCost} cost=${cost} most=${most} />`}
    ${error && !wrong && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <div class="actions dialog-actions"><button type="button" class="button" onClick=${onClose} disabled=${busy} autofocus=${!bounded}>Cancel</button>
      <button class=${"button " + (atOnce ? "button-danger" : "button-primary")} id="confirm-overage" disabled=${busy}>${busy ? "Working…" : to.apply}</button></div></form><//>`;
}

function Prices({ plans, current, market }) {
  return html`<${Card} title="All plans"><${Table} label="All plans"><thead><tr><th scope="col">Plan</th><th scope="col" class="end">Calls a month</th><th scope="col" class="end">Price a month</th></tr></thead>
    <tbody>${plans.map((p) => html`<tr key=${p.id} class=${p.id === current ? "is-chosen" : ""}><th scope="row">${p.name}${p.id === current && html` <${Badge} kind="good">Yours<//>`}</th><td class="num end">${count(p.monthlyCalls)}${p.custom ? "+" : ""}</td><td class="num end">${dollars(p.priceUsd)}${p.custom ? "+" : ""}</td></tr>`)}</tbody><//>
    <p class="small">Plans are changed on AWS Marketplace, under Manage subscriptions. ${market && html`<a href=${market}>Open the product page</a>. `}An upgrade counts at once, for the whole current month.</p><//>`;
}
