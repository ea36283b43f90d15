// Calls that were not answered with a result: how many, why, and the newest one by one.

import { html } from "./vendor/preact.js";
import { lazyChart } from "./lazy.js";
import { Badge, Card, Copy, Empty, Table } from "./ui.js";
import { atHour, atTime, count, inMonth, onDay, onShortDay } from "./format.js";

const BarChart = lazyChart(() => import("./chart.js"), "BarChart");

const series = [{ name: "Refused (4xx)", fill: "--bad", key: "key-refused" }, { name: "Our fault (5xx)", fill: "--warn", key: "key-fault" }];

const keyName = (call) => `${call.keySlot === "secondary" ? "Secondary" : "Primary"}${call.code === "invalid_api_key" ? ", replaced" : ""}`;

// What can be done about a code, beyond what its message says.
const advice = {
  invalid_api_key: "Something still sends a key that was replaced.",
  rate_limited: "Wait as long as Retry-After says, and spread the calls.",
  overloaded: "Repeat the call after Retry-After; use an Idempotency-Key.",
  service_unavailable: "Repeat the call after Retry-After; use an Idempotency-Key.",
  internal_error: "Send us a request id from the list below.",
  client_closed_request: "Your client went away before the answer.",
  request_timeout: "The upload stalled.",
};

function FailureChart({ data, hourly, label }) {
  const points = data.points.map((p, i) => {
    const name = hourly ? `${onShortDay(p.at)}, ${atHour(p.at)}` : onDay(p.at);
    return { name, short: hourly ? atHour(p.at) : String(i + 1), values: [p.refused, p.faults], tip: `${name}: ${count(p.refused + p.faults)} failed` };
  });
  return html`<${BarChart} points=${points} series=${series} label=${label} of=${hourly ? "hour" : "day"} />`;
}

const Kinds = ({ kinds, label }) => html`<${Table} label=${label}>
  <thead><tr><th scope="col">Answer</th><th scope="col">Why</th><th scope="col">Key</th><th scope="col" class="end">Calls</th><th scope="col" class="end">Last (UTC)</th></tr></thead>
  <tbody>${kinds.map((k) => html`<tr key=${[k.status, k.code, k.message, k.keyPrefix].join()}>
    <td class="nowrap"><${Badge} kind=${k.status >= 500 ? "warn" : "bad"}>${k.status}<//> <code>${k.code}</code></td>
    <td class="reason">${k.message}${advice[k.code] && html` <span class="muted">${advice[k.code]}</span>`}</td>
    <td class="nowrap">${keyName(k)}<br /><code class="muted">${k.keyPrefix}…</code></td>
    <td class="num end">${count(k.calls)}</td><td class="num end nowrap"><span class="muted">${onShortDay(k.lastAt)}</span> ${atTime(k.lastAt)}</td></tr>`)}</tbody><//>`;

const Newest = ({ calls }) => html`<details class="more-detail" id="newest-failures"><summary>The newest ${count(calls.length)} failed ${calls.length === 1 ? "call" : "calls"}, one by one</summary>
  <${Table} label="The newest failed calls">
  <thead><tr><th scope="col">Time (UTC)</th><th scope="col">Answer</th><th scope="col">What it said</th><th scope="col">Key</th><th scope="col">Request ID</th></tr></thead>
  <tbody>${calls.map((c, i) => html`<tr key=${c.requestId + i}>
    <td class="num nowrap"><span class="muted">${onShortDay(c.at)}</span> ${atTime(c.at)}</td>
    <td class="nowrap">${c.status} <code>${c.code}</code></td><td class="reason">${c.message}</td>
    <td class="nowrap"><code>${c.keyPrefix}…</code></td><td class="nowrap"><code id=${"failed-" + i}>${c.requestId}</code> <${Copy} text=${c.requestId} from=${"failed-" + i} what="the request ID" /></td></tr>`)}</tbody><//></details>`;

// RecentFailures is the card of the last 48 hours; where there is nothing to tell it says so, or nothing to who has not begun.
export function RecentFailures({ data, everUsed }) {
  if (data.calls === 0) return everUsed ? html`<${Card} title="Failed calls"><p class="muted" id="no-failures">None in the last 48 hours.</p><//>` : null;
  return html`<${Card} title="Failed calls" className="failures" aside=${html`<a href="/console/usage">By month, and one by one</a>`}>
    <p><strong>${count(data.calls)} ${data.calls === 1 ? "call was" : "calls were"} not answered with a result in the last 48 hours.</strong> <span class="muted">They are free.</span></p>
    <${FailureChart} data=${data} hourly label="Failed calls by hour, last 48 hours" />
    <${Kinds} kinds=${data.kinds} label="Why calls failed in the last 48 hours" /><//>`;
}

// MonthFailures is the card of a month.
export function MonthFailures({ month, data }) {
  const gone = data.points.length > 0 && data.points[data.points.length - 1].at.slice(0, 10) < data.since;
  return html`<${Card} title=${"Failed calls, " + inMonth(month)} className="failures">
    ${data.calls > 0 ? html`<${FailureChart} data=${data} label=${"Failed calls by day, " + inMonth(month)} />
      <${Kinds} kinds=${data.kinds} label=${"Why calls failed in " + inMonth(month)} />`
      : html`<${Empty} title=${gone ? "Not kept any more" : "No failed calls"}><p>${gone ? "Failed calls are kept for 90 days." : "Calls that are refused or fail are listed here by reason and key. They are free."}</p><//>`}
    ${data.newest.length > 0 && html`<${Newest} calls=${data.newest} />`}
    ${data.calls > 0 && html`<p class="small">Failed calls are free, and kept for 90 days. Of a call we keep its request ID, the answer and the visible part of the key; never the image.</p>`}<//>`;
}
