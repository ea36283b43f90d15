// The customers that a login may act for, and which of them is shown.

import { html } from "./vendor/preact.js";

export const nameOf = (customer) => customer.company || "subscription " + customer.subscription;

// labels tell customers apart: by company and plan, and by subscription where these are the same.
function labels(customers) {
  const short = customers.map((c) => `${nameOf(c)}, ${c.plan || "no plan yet"}${c.status === "ended" ? " (ended)" : ""}`);
  return short.map((label, i) => short.indexOf(label) === short.lastIndexOf(label) ? label : `${label}, ${customers[i].subscription}`);
}

export function Switcher({ customers, shown, onChoose }) {
  const named = labels(customers);
  return html`<div class="switcher"><label for="customer">Customer</label>
    <select id="customer" value=${shown} onChange=${(e) => onChoose(customers.find((c) => c.id === e.target.value))}>
      ${customers.map((c, i) => html`<option key=${c.id} value=${c.id}>${named[i]}</option>`)}</select></div>`;
}
