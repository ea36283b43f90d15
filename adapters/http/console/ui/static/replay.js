// What held for the customer once the log had come to a position.

import { html } from "./vendor/preact.js";
import { lastIn, useRead } from "./api.js";
import { Card, Heading, Loaded, Table } from "./ui.js";
import { count, inMonth } from "./format.js";

const behaviour = (s) => s.overage === "stop" ? "refused" : s.ceiling ? `served up to ${count(s.ceiling)} beyond the plan, and billed as used` : "served, and billed as used";

export function Replay() {
  const at = lastIn(location.pathname);
  const read = useRead("replay/" + at);
  return html`<${Heading} title="What held then"><p class="muted"><a href="/console/activity">All activity</a></p><//>
    <${Loaded} of=${read} lines=${6}>${(s) => html`<${Card} title=${"At position " + at + " of the event log"}><dl class="facts">
        <div><dt>Subscription</dt><dd>${s.status}</dd></div>
        ${s.plan && html`<div><dt>Plan</dt><dd class="num">${s.plan}, ${count(s.limit)} calls a month</dd></div>`}
        ${s.plan && html`<div><dt>Calls beyond the plan</dt><dd>${behaviour(s)}</dd></div>`}
        <div><dt>Keys</dt><dd>${s.keys.length ? s.keys.map((k) => html`<span key=${k.slot}>${k.slot === "secondary" ? "Secondary" : "Primary"} <code>${k.prefix}…</code> </span>`) : "None"}</dd></div>
        <div><dt>Another call</dt><dd>${s.nextCall}</dd></div>
      </dl><//>
      ${s.months.length > 0 && html`<${Card} title="Counted by then"><${Table} label="Counted by then" short=${true}>
        <thead><tr><th scope="col">Month</th><th scope="col" class="end">Calls</th><th scope="col" class="end">Within the plan</th><th scope="col" class="end">Over the limit</th></tr></thead>
        <tbody>${s.months.map((m) => html`<tr key=${m.month}><td>${inMonth(m.month)}</td><td class="num end">${count(m.counted)}</td><td class="num end">${count(m.included)}</td><td class="num end">${count(m.overage)}</td></tr>`)}</tbody><//><//>`}`}<//>`;
}
