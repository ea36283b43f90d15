// The list of counted calls, and what is looked for in it.

import { html, useState } from "./vendor/preact.js";
import { download } from "./api.js";
import { useList } from "./list.js";
import { Card, Empty, Icon, Loaded, Note } from "./ui.js";
import { CheckTable } from "./checks.js";
import { inMonth } from "./format.js";

const anything = { day: "", verdict: "", face: "", key: "", billing: "", request: "" };
let kept = anything; // while a check is looked at, for the way back

const choices = [
  { field: "verdict", label: "Verdict", options: [["live", "Live"], ["fake", "Suspected fake"]] },
  { field: "face", label: "Face", options: [["valid", "Valid"], ["unusable", "Not usable"]] },
  { field: "key", label: "Key", options: [["primary", "Primary"], ["secondary", "Secondary"]] },
  { field: "billing", label: "Billing", options: [["included", "Included"], ["overage", "Over limit"]] },
];

const addressOf = (filter) => {
  const asked = Object.entries(filter).filter(([, value]) => value);
  return asked.length ? "checks?" + new URLSearchParams(asked) : "checks";
};

export function FindChecks({ month }) {
  const [filter, setFilter] = useState(kept);
  const checks = useList(addressOf(filter), "checks", "behind");
  const look = (changed) => { kept = changed; setFilter(changed); };
  const filtered = Object.values(filter).some(Boolean);
  const wrong = checks.error?.fields ?? {};
  return html`<${Card} title="Checks" aside=${html`<a class="button button-small" id="export-checks" href=${download(`checks/${month}.csv`)} download><${Icon} name="download" />CSV of ${inMonth(month)}<span class="visually-hidden">, every check</span></a>`}>
    <${Filters} filter=${filter} wrong=${wrong} filtered=${filtered} onLook=${look} />
    ${!wrong.day && !wrong.request && html`<${Loaded} of=${checks} lines=${6}>${({ items, next }) => html`
      <p class="visually-hidden" role="status">${filtered ? `${items.length} checks are listed${next ? ", and there are more" : ""}` : ""}</p>
      ${items.length > 0 ? html`<${CheckTable} checks=${items} label="Checks, newest first" />`
        : filtered ? html`<${Empty} title="No check is like that"><p>No counted call fits all of what you look for. Calls that failed are not counted; they are listed above.</p><//>`
        : html`<${Empty} title="No calls yet"><p>Your counted calls are listed here, newest first. The <a href="/console/dashboard">overview</a> has the code for the first one.</p><//>`}
      ${checks.moreError && html`<${Note} kind="bad" role="alert">${checks.moreError.message}<//>`}
      ${next && html`<p class="more"><button class="button" disabled=${checks.busy} onClick=${checks.more}>${checks.busy ? "Loading…" : checks.moreError ? "Try again" : "Show older checks"}</button></p>`}`}<//>`}<//>`;
}

function Filters({ filter, wrong, filtered, onLook }) {
  const [typed, setTyped] = useState(filter.request);
  const set = (field) => (event) => onLook({ ...filter, [field]: event.target.value.trim() });
  const search = (event) => { event.preventDefault(); onLook({ ...filter, request: typed.trim() }); };
  const clear = () => { setTyped(""); onLook(anything); };
  return html`<form class="filters" role="search" aria-label="Find checks" onSubmit=${search} novalidate>
    <div class="field"><label for="filter-day">Day (UTC)</label><input id="filter-day" type="date" value=${filter.day} onChange=${set("day")} aria-invalid=${wrong.day ? "true" : undefined} aria-describedby="filter-day-error" /><p class="field-error" id="filter-day-error" role="alert">${wrong.day}</p></div>
    ${choices.map((c) => html`<div class="field" key=${c.field}><label for=${"filter-" + c.field}>${c.label}</label>
      <select id=${"filter-" + c.field} value=${filter[c.field]} onChange=${set(c.field)}><option value="">Any</option>${c.options.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}</select></div>`)}
    <div class="field filter-request"><label for="filter-request">Request ID</label><div class="with-button">
      <input id="filter-request" class="mono" autocomplete="off" spellcheck="false" placeholder="X-Request-Id of the answer" value=${typed} onInput=${(e) => setTyped(e.target.value)} aria-invalid=${wrong.request ? "true" : undefined} aria-describedby="filter-request-error" />
      <button class="button" id="filter-find">Find</button>
      <button type="button" class="button button-quiet" id="filter-clear" disabled=${!filtered && !typed} onClick=${clear}>Clear<span class="visually-hidden"> what is looked for</span></button></div>
      <p class="field-error" id="filter-request-error" role="alert">${wrong.request}</p></div></form>`;
}
