// A list of counted calls.

import { html } from "./vendor/preact.js";
import { Badge } from "./ui.js";
import { atTime, count, likelihood, onShortDay } from "./format.js";

export const Verdict = ({ check }) => (check.fakeFace ? html`<${Badge} kind="bad">Suspected fake<//>` : html`<${Badge} kind="good">Live<//>`);

export const CheckTable = ({ checks, label }) => html`<div class="table-scroll" tabindex="0" role="region" aria-label=${label}><table class="table">
  <thead><tr><th scope="col">Time (UTC)</th><th scope="col">Verdict</th><th scope="col" class="end">Likelihood</th><th scope="col">Face</th><th scope="col" class="end">Brightness</th><th scope="col" class="end">Latency</th><th scope="col">Key</th><th scope="col">Billing</th></tr></thead>
  <tbody>${checks.map((c) => html`<tr key=${c.id}>
    <td class="num nowrap"><span class="muted">${onShortDay(c.at)}</span> ${atTime(c.at)}</td>
    <td><${Verdict} check=${c} /></td>
    <td class="num end">${likelihood(c.fakeLikelihood)}</td>
    <td>${c.validFace ? "Valid" : "Not usable"}</td>
    <td class="num end">${c.brightness.toFixed(0)}</td>
    <td class="num end nowrap">${count(c.latencyMs)} ms</td>
    <td class="nowrap">${c.keySlot === "secondary" ? "Secondary" : "Primary"}</td>
    <td class="nowrap">${c.billing === "overage" ? html`<${Badge} kind="warn">Over limit<//>` : "Included"}</td>
  </tr>`)}</tbody></table></div>`;
