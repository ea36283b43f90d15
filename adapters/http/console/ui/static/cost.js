// What the month costs beyond the plan, so far and at its end.

import { html } from "./vendor/preact.js";
import { useRead } from "./api.js";
import { lazyChart } from "./lazy.js";
import { Card, Loaded } from "./ui.js";
import { count, dollars, dollarsAndCents, onDay, price } from "./format.js";

const ForecastChart = lazyChart(() => import("./forecast_chart.js"), "ForecastChart");

const refresh = 60_000;

export const useCost = () => useRead("cost", refresh);

// beyondAtEnd is how many calls lie beyond the plan at the end of the month when at most so many may; null while nothing can be
// foretold. What was counted beyond a smaller plan stays counted.
export function beyondAtEnd(cost, most) {
  if (cost.forecast === null) return null;
  const end = Math.min(cost.forecast, Math.max(cost.calls, cost.limit + most));
  return cost.overage + Math.max(0, end - Math.max(cost.calls, cost.limit));
}

const mostOf = (cost) => (cost.policy === "stop" ? 0 : cost.ceiling ?? Infinity);

// amountAtEnd is the price of that, null where a price is missing.
const amountAtEnd = (cost, beyond) => (cost.amountUsd === null || beyond === null ? null : cost.amountUsd + Math.max(0, beyond - Math.max(cost.overage, cost.credited)) * cost.callUsd);

const lastDay = (cost) => onDay(cost.days[cost.days.length - 1].day);

export function CostCard({ cost }) {
  return html`<${Loaded} of=${cost} lines=${6}>${(data) => html`<${Cost} cost=${data} />`}<//>`;
}

function Cost({ cost }) {
  const beyond = beyondAtEnd(cost, mostOf(cost));
  const amount = amountAtEnd(cost, beyond);
  return html`<${Card} title="What this month will cost"><dl class="facts" id="cost">
      <div><dt>Over the limit so far</dt><dd class="num" id="cost-so-far">${count(cost.overage)} calls${cost.credited > 0 && html`, ${count(cost.credited)} credited`}${cost.amountUsd !== null && html`: <strong>${dollarsAndCents(cost.amountUsd)}</strong>`}</dd></div>
      <div><dt>At the end of the month</dt><dd class="num" id="cost-forecast">${cost.forecast === null ? "cannot be told before a day of calls has passed"
        : html`about ${count(cost.forecast)} calls at today’s pace${beyond > 0 ? html`, ${count(beyond)} over the limit` : ", within the plan"}${amount !== null && beyond > 0 && html`: <strong>about ${dollarsAndCents(amount)}</strong>`}`}</dd></div>
      ${cost.planUsd !== null && html`<div><dt>The plan itself</dt><dd class="num">${dollars(cost.planUsd)} a month</dd></div>`}
      <div><dt>A call over the limit</dt><dd class="num">${cost.policy === "stop" ? "is refused" : cost.callUsd === null ? "has its price on the AWS Marketplace listing" : price(cost.callUsd)}</dd></div>
    </dl>
    <${ForecastChart} cost=${cost} />
    <p class="small">The line goes on as calls came in since ${cost.begun > 0 ? "the subscription started" : "the month began"}; refused calls are not in it. An estimate: AWS bills what is reported to it, and credits are taken off.</p><//>`;
}

// BeyondCost says in a dialog what a choice comes to when at most so many calls may lie beyond the plan.
export function BeyondCost({ cost, most }) {
  const beyond = beyondAtEnd(cost, most);
  const amount = amountAtEnd(cost, beyond);
  return html`<div class="note" id="beyond-cost">
    ${beyond === null ? html`<p>How many calls this month will lie over the limit cannot be told before a day of calls has passed.</p>`
      : html`<p>At today’s pace <strong>about ${count(beyond)} calls</strong> lie over the limit by ${lastDay(cost)}${amount !== null && html`: <strong>about ${dollarsAndCents(amount)}</strong>`}.</p>`}
    <p class="small">${cost.callUsd === null ? "The price of a call over the limit is on the AWS Marketplace listing." : `${price(cost.callUsd)} for each call over the limit.`}${Number.isFinite(most) && cost.callUsd !== null ? ` At most ${dollarsAndCents(most * cost.callUsd)} a month.` : ""}${cost.overage > 0 ? ` So far ${count(cost.overage)}${cost.credited > 0 ? `, of which ${count(cost.credited)} are credited` : ""}${cost.amountUsd === null ? "" : `: ${dollarsAndCents(cost.amountUsd)}`}.` : ""}</p></div>`;
}
