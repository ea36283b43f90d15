import { html } from "./vendor/preact.js";
import { useRead } from "./api.js";
import { lazyChart } from "./lazy.js";
import { Badge, Card, Heading, Loaded, Note } from "./ui.js";
import { CheckTable } from "./checks.js";
import { FirstCall } from "./code.js";
import { RecentFailures } from "./failures.js";
import { RecentTraffic } from "./traffic.js";
import { count, daysUntil, dollars, inMonth, onDay, share } from "./format.js";

const refresh = 10_000;

const DayChart = lazyChart(() => import("./chart.js"), "DayChart");

export function Overview() {
  const overview = useRead("overview", refresh);
  return html`<${Heading} title="Overview">${overview.data && html`<p class="muted">${inMonth(overview.data.month.month)}, resets ${onDay(overview.data.resetsAt)} UTC (${daysUntil(overview.data.resetsAt)})</p>`}<//>
    <${Loaded} of=${overview} lines=${9}>${(data) => html`${data.plan.status !== "scheduled" && html`<${Standing} data=${data} /><${Figures} data=${data} />`}
      ${data.everUsed ? html`<${Card} title="Calls by day" aside=${html`<a href="/console/usage">All months</a>`}><${DayChart} days=${data.days} label=${"Counted calls by day, " + inMonth(data.month.month)} /><//>
        <${Traffic} />
        <${Card} title="Recent checks" aside=${html`<a href="/console/usage">All checks</a>`}><${CheckTable} checks=${data.recent} label="Recent checks" short /><//>`
        : html`<${FirstRequest} later=${data.plan.status === "scheduled"} />`}
      <${Failed} everUsed=${data.everUsed} />`}<//>`;
}

function Traffic() {
  const traffic = useRead("traffic", 60_000);
  return html`<${Loaded} of=${traffic} lines=${6}>${(data) => html`<${RecentTraffic} data=${data} />`}<//>`;
}

function Failed({ everUsed }) {
  const failures = useRead("failures", refresh);
  return html`<${Loaded} of=${failures} lines=${3}>${(data) => html`<${RecentFailures} data=${data} everUsed=${everUsed} />`}<//>`;
}

// Standing says what needs a decision.
function Standing({ data: { month, plan, resetsAt, warnPercent } }) {
  if (plan.status === "ended") return null;
  const stops = plan.overage === "stop";
  if (plan.ceiling && month.overLimit >= plan.ceiling) {
    return html`<${Note} kind="bad" role="status"><strong>The ceiling of ${count(plan.ceiling)} calls over the limit is reached and the API is stopped.</strong> Calls get 429 until ${onDay(resetsAt)}. <a href="/console/plan">Raise the ceiling</a><//>`;
  }
  if (month.remaining === 0 && stops) {
    return html`<${Note} kind="bad" role="status"><strong>The limit is reached and the API is stopped.</strong> Calls get 429 until ${onDay(resetsAt)}. <a href="/console/plan">Change the over-limit behaviour</a><//>`;
  }
  if (month.overLimit > 0) {
    return html`<${Note} kind="warn" role="status"><strong>${count(month.overLimit)} calls over the limit this month.</strong> They are billed as you go${plan.ceiling && html`, up to your ceiling of ${count(plan.ceiling)}`}. <a href="/console/plan">Change the over-limit behaviour</a><//>`;
  }
  if (month.calls * 100 >= month.limit * warnPercent) {
    return html`<${Note} kind="warn" role="status"><strong>${share(month.calls / month.limit)} of the plan is used.</strong> Beyond it, calls are ${stops ? "refused" : "billed as you go"}${plan.ceiling && html`, up to your ceiling of ${count(plan.ceiling)}`}. <a href="/console/plan">Change the over-limit behaviour</a><//>`;
  }
  return null;
}

function Figures({ data: { month, plan, fakeShare } }) {
  const used = Math.min(1, month.calls / month.limit);
  return html`<div class="figures">
    <section class="card figure-main" aria-label="Calls this month">
      <div class="figure-head"><h2>Calls this month</h2><${Badge}>${plan.name}<//></div>
      <p class="figure-number num"><span id="calls">${count(month.calls)}</span> <small>of ${count(month.limit)}</small></p>
      <div class=${"meter" + (month.remaining === 0 ? " is-full" : "")} role="progressbar" aria-label="Share of the plan used" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(used * 100)}>
        <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width=${used * 100} height="1" /></svg></div>
      <p class="muted">${plan.custom ? "from " : ""}${dollars(plan.priceUsd)} a month. Only successful detections count.</p>
    </section>
    <section class="card figure" aria-label="Remaining"><h2>Remaining</h2><p class="figure-number num" id="remaining">${count(month.remaining)}</p><p class="muted">calls in the plan</p></section>
    <section class=${"card figure" + (month.overLimit ? " is-warn" : "")} aria-label="Over the limit"><h2>Over the limit</h2><p class="figure-number num" id="over-limit">${count(month.overLimit)}</p>
      <p class="muted">${plan.overage === "stop" ? "stops at the limit" : plan.ceiling ? html`pay as you go, at most ${count(plan.ceiling)}` : "pay as you go"}. <a href="/console/plan">What it will cost</a></p></section>
    <section class="card figure" aria-label="Judged fake"><h2>Judged fake</h2><p class="figure-number num">${fakeShare === null ? "–" : share(fakeShare)}</p><p class="muted">${fakeShare === null ? "no calls yet this month" : "of this month’s calls"}</p></section>
  </div>`;
}

const FirstRequest = ({ later }) => html`<${Card} title=${later ? "When your contract has started: your first request" : "Send your first request"}><div class="stack"><p class="muted">The call appears on this screen seconds later.</p>
  <${FirstCall} />
  <p class="small">Use your Primary key. Not saved? <a href="/console/keys">Regenerate it</a>, and the code is shown with the new key in it. The chart by day and your recent checks take this place after the first call. What the answer says is in the <a href="/console/docs">documentation</a>.</p>
  <p class="small">In production, send an <code>Idempotency-Key</code> header with every check, a new UUID for instance: a check whose answer was lost can then be sent again with the same key, without being counted twice.</p></div><//>`;
