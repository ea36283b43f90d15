import { html, useRef, useState } from "./vendor/preact.js";
import { download, useRead } from "./api.js";
import { ChartRoom, lazyChart } from "./lazy.js";
import { Badge, Card, Heading, Icon, Loaded, Table } from "./ui.js";
import { MonthFailures } from "./failures.js";
import { FindChecks } from "./find_checks.js";
import { count, inMonth } from "./format.js";

const DayChart = lazyChart(() => import("./chart.js"), "DayChart");

export function Usage() {
  const usage = useRead("usage");
  const [month, setMonth] = useState(null);
  return html`<${Heading} title="Usage"><p class="muted">Counted calls by month, in UTC. Only successful detections count.</p><//>
    <${Loaded} of=${usage} lines=${8}>${(data) => html`
      <${Card} title="Months" aside=${html`<a class="button button-small" href=${download("usage.csv")} download><${Icon} name="download" />CSV<span class="visually-hidden"> of all months</span></a>`}>
        <${Table} label="Usage by month"><thead><tr><th scope="col">Month</th><th scope="col">Plan</th><th scope="col" class="end">Calls</th><th scope="col" class="end">Within the plan</th><th scope="col" class="end">Over the limit</th><th scope="col" class="end" title="Calls over the limit that AWS Marketplace has accepted for billing; an hour is reported after it has ended">Reported to AWS</th><th scope="col" class="end" title="Calls over the limit that we credited; they are taken off what is reported, or refunded by AWS">Credited</th><th scope="col" class="end">Limit</th></tr></thead>
        <tbody>${data.months.map((m) => html`<tr key=${m.month} class=${m.month === (month ?? data.months[0].month) ? "is-chosen" : ""}>
          <th scope="row"><button class="link" aria-pressed=${String(m.month === (month ?? data.months[0].month))} onClick=${() => setMonth(m.month)}>${inMonth(m.month)}</button></th>
          <td>${m.plan}</td><td class="num end">${count(m.calls)}</td><td class="num end">${count(m.included)}</td>
          <td class="num end">${m.overage ? html`<${Badge} kind="warn">${count(m.overage)}<//>` : "0"}</td><td class="num end">${count(m.reported)}</td><td class="num end">${m.credited ? html`<${Badge} kind="good">${count(m.credited)}<//>` : "0"}</td><td class="num end">${count(m.limit)}</td></tr>`)}</tbody><//><//>
      ${data.provable && html`<${Proof} month=${month ?? data.months[0].month} />`}
      <${MonthParts} month=${month ?? data.months[0].month} />`}<//>`;
}

// MonthParts are a month's days, its failed calls, and below them every check: how much room the calls take is known when they are
// there, and nothing may be pushed away that somebody reads.
function MonthParts({ month }) {
  const days = useRead("usage/" + month);
  const failures = useRead("failures?month=" + month);
  const settled = useRef(false);
  settled.current ||= Boolean(failures.data || failures.error);
  return html`<div class="parts"><${Card} title=${inMonth(month) + " by day"} aside=${html`<a class="button button-small" href=${download(`usage/${month}.csv`)} download><${Icon} name="download" />CSV<span class="visually-hidden"> of ${inMonth(month)} by day</span></a>`}>
      <${ChartRoom}><${Loaded} of=${days} lines=${6}>${(data) => html`<${DayChart} days=${data.days} label=${"Counted calls by day, " + inMonth(month)} />`}<//><//><//>
    <${Loaded} of=${failures} lines=${5}>${(data) => html`<${MonthFailures} month=${month} data=${data} />`}<//>
    ${settled.current && html`<${FindChecks} month=${month} />`}</div>`;
}

// Proof offers the file with which somebody else can check a month, and the page that does it.
function Proof({ month }) {
  return html`<${Card} title=${"Proof of " + inMonth(month)} aside=${html`<a class="button button-small" href=${download(`usage/${month}.ndjson`)} download><${Icon} name="download" />Proof<span class="visually-hidden"> of ${inMonth(month)}</span></a>`}>
    <p>A file with every counted call, the switches and reports to AWS that your bill follows from, and the proof that each of them stands in our log as it was signed. Anybody can check it without us: save <a href=${download("check-proof.html")} download>the page that checks it</a>, open it, and choose the file.</p><//>`;
}
