// One counted call, with everything that the log holds of it.

import { html } from "./vendor/preact.js";
import { lastIn, useRead } from "./api.js";
import { Badge, Card, Copy, Heading, Loaded } from "./ui.js";
import { Verdict } from "./checks.js";
import { atTime, count, inMonth, likelihood, onDay } from "./format.js";

const Id = ({ id, text, what }) => html`<span class="with-copy"><code id=${id}>${text}</code> <${Copy} text=${text} from=${id} what=${what} /></span>`;

// toSupport is a mail that says which call it is about.
const toSupport = (support, data) => "mailto:" + support + "?" + new URLSearchParams({
  subject: "Check " + data.requestId,
  body: `Request ID: ${data.requestId}\nCheck ID: ${data.event.checkId}\nCustomer ID: ${data.event.customerId}\nTime: ${data.event.completedAt}\n${location.origin}${location.pathname}?customer=${data.event.customerId}\n\n`,
}).toString().replaceAll("+", "%20");

export function Check({ session }) {
  const check = useRead("checks/" + lastIn(location.pathname));
  return html`<${Heading} title="Check"><p class="muted"><a href="/console/usage">All checks</a></p><//>
    <${Loaded} of=${check} lines=${9}>${(data) => { const e = data.event; const j = e.judgement; return html`
      <${Card} title=${`Number ${count(e.ordinal)} of ${inMonth(e.month)}`} aside=${html`<${Verdict} check=${j} />`}><dl class="facts">
        <div><dt>Time</dt><dd class="num">${onDay(e.completedAt)}, ${atTime(e.completedAt)} UTC</dd></div>
        <div><dt>Request ID</dt><dd><${Id} id="request-id" text=${data.requestId} what="the request ID" /></dd></div>
        <div><dt>Check ID</dt><dd><${Id} id="check-id" text=${e.checkId} what="the check ID" /></dd></div>
        <div><dt>Fake likelihood</dt><dd class="num">${likelihood(j.fakeLikelihood)}, fake above ${j.threshold}</dd></div>
        <div><dt>Face</dt><dd>${j.validFace ? "Valid" : "Not usable"}, brightness ${j.brightness.toFixed(1)}</dd></div>
        ${data.issues.length > 0 && html`<div><dt>Why it is not usable</dt><dd>${data.issues.map((i) => html`<p key=${i.code} id=${"issue-" + i.code}>${i.message} <code class="muted">${i.code}</code></p>`)}</dd></div>`}
        ${j.faces > 0 && html`<div><dt>Faces found</dt><dd class="num">${count(j.faces)}${j.faces > 1 && ", the largest is judged"}${j.rotated > 0 && html`; the photo was turned by ${j.rotated}°`}</dd></div>`}
        <div><dt>Latency</dt><dd class="num">${count(j.latencyMs)} ms in the service</dd></div>
        <div><dt>Key</dt><dd>${e.keySlot === "secondary" ? "Secondary" : "Primary"}</dd></div>
        <div><dt>Billing</dt><dd>${e.billing === "overage" ? html`<${Badge} kind="warn">Over limit<//>` : "Included in the plan"}, <a id="why" href=${`/console/explain/${e.month}.${e.ordinal}`}>why</a></dd></div>
        <div><dt>Plan then</dt><dd class="num">${data.planName}, ${count(e.limit)} calls a month, over the limit: ${e.overage}</dd></div>
        <div><dt>Month with it</dt><dd class="num">${count(e.includedTotal)} within the plan, ${count(e.overageTotal)} over the limit</dd></div>
        <div><dt>Idempotency-Key</dt><dd>${e.requestDigest ? "Sent with the request" : "None"}</dd></div>
        <div><dt>Model pack</dt><dd class="wrap">${j.modelPack} <code class="muted">${j.modelPackHash}</code></dd></div>
      </dl>
      ${session?.support && html`<div class="actions"><a class="button" id="ask-support" href=${toSupport(session.support, data)}>Ask support about this check</a></div>`}<//>
      <${Card} title="In the event log"><dl class="facts">
        <div><dt>Stream</dt><dd><code class="wrap">${data.stream}</code></dd></div>
        <div><dt>Place</dt><dd class="num">revision ${data.revision}, position ${data.position}</dd></div>
        <div><dt>Event ID</dt><dd><code class="wrap">${data.eventId}</code></dd></div>
        <div><dt>Recorded</dt><dd class="num">${onDay(data.recordedAt)}, ${atTime(data.recordedAt)} UTC</dd></div>
      </dl><div class="snippet"><div class="snippet-head"><h3>The event</h3><${Copy} text=${JSON.stringify(data.recorded, null, 2)} from="recorded" what="the event" /></div>
        <pre tabindex="0" aria-label="The event as JSON"><code id="recorded">${JSON.stringify(data.recorded, null, 2)}</code></pre></div><//>`; }}<//>`;
}
