// A list of counted calls.

import { html } from "./vendor/preact.js";
import { Badge, Table } from "./ui.js";
import { atTime, count, likelihood, onShortDay } from "./format.js";

export const Verdict = ({ check }) => (check.fakeFace ? html`<${Badge} kind="bad">Suspected fake<//>` : html`<${Badge} kind="good">Live<//>`);

// CheckTable shows checks, each leading to its own screen; a short one keeps to what a phone has room for.
export const CheckTable = ({ checks, label, short }) => html`<${Table} label=${label} short=${short}>
  <thead><tr><th scope="col">Time (UTC)</th><th scope="col">Verdict</th><th scope="col" class="end">Fake likelihood</th><th scope="col" class="wide-only">Face</th><th scope="col" class="end wide-only">Brightness</th><th scope="col" class="end wide-only">Latency</th><th scope="col" class="wide-only">Key</th><th scope="col" class="wide-only">Billing</th></tr></thead>
  <tbody>${checks.map((c) => html`<tr key=${c.id}>
    <td class="num nowrap"><a href=${`/console/checks/${c.month}.${c.ordinal}`} aria-label=${`Check of ${onShortDay(c.at)} ${atTime(c.at)}`}>${onShortDay(c.at)} ${atTime(c.at)}</a></td>
    <td><${Verdict} check=${c} /></td>
    <td class="num end">${likelihood(c.fakeLikelihood)}</td>
    <td class="nowrap wide-only">${c.validFace ? "Valid" : "Not usable"}</td>
    <td class="num end wide-only">${c.brightness.toFixed(0)}</td>
    <td class="num end nowrap wide-only">${count(c.latencyMs)} ms</td>
    <td class="nowrap wide-only">${c.keySlot === "secondary" ? "Secondary" : "Primary"}</td>
    <td class="nowrap wide-only">${c.billing === "overage" ? html`<${Badge} kind="warn">Over limit<//>` : "Included"}</td>
  </tr>`)}</tbody><//>`;
