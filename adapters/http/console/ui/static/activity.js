import { html, useState } from "./vendor/preact.js";
import { useList } from "./list.js";
import { Badge, Card, Empty, Heading, Loaded, Note } from "./ui.js";
import { atTime, onDay } from "./format.js";

const actors = { buyer: "Registration", user: "Console", "api-client": "API", marketplace: "AWS Marketplace", system: "System", operator: "Support", "login page": "Login page", "mailed link": "Mailed link" };
const alarming = new Set(["LoginFailed", "MemberRemoved", "SubscriptionEnded", "UnsubscribeRequested"]);

const anything = { day: "", topic: "", key: "" };

const choices = [
  { field: "topic", label: "About", options: [["keys", "Keys"], ["plan", "Plan and usage"], ["people", "People"], ["login", "Your login"]] },
  { field: "key", label: "Key", options: [["primary", "Primary"], ["secondary", "Secondary"]] },
];

function Filters({ filter, onLook }) {
  const set = (field) => (event) => onLook({ ...filter, [field]: event.target.value });
  return html`<form class="filters" role="search" aria-label="Find activity" onSubmit=${(event) => event.preventDefault()}>
    <div class="field"><label for="activity-day">Day (UTC)</label><input id="activity-day" type="date" value=${filter.day} onChange=${set("day")} /></div>
    ${choices.map((c) => html`<div class="field" key=${c.field}><label for=${"activity-" + c.field}>${c.label}</label>
      <select id=${"activity-" + c.field} value=${filter[c.field]} onChange=${set(c.field)}><option value="">Any</option>${c.options.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}</select></div>`)}
  </form>`;
}

export function Activity() {
  const [filter, setFilter] = useState(anything);
  const asked = new URLSearchParams(Object.entries(filter).filter(([, value]) => value)).toString();
  const list = useList(asked ? "activity?" + asked : "activity", "entries", "before");
  return html`<${Heading} title="Activity"><p class="muted">What happened to this customer and to your login, as our event log has it. Times are UTC.</p><//>
    <${Filters} filter=${filter} onLook=${setFilter} />
    <${Loaded} of=${list} lines=${8}>${(data) => html`${byDay(data.items).map(([day, entries]) => html`<${Card} key=${day} title=${day}><ol class="timeline">${entries.map((e) => html`<li key=${e.id} class=${alarming.has(e.kind) ? "is-alarming" : ""}>
        <time class="num muted" datetime=${e.at}>${atTime(e.at)}</time><span>${e.person && html`<strong>${e.person}:</strong> `}${e.summary} <span class="audit-links"><a href=${"/console/explain/" + e.id} aria-label=${"Why: " + e.summary}>Why</a> <a href=${"/console/replay/" + e.position} aria-label=${"What held then: " + e.summary}>What held then</a></span></span><${Badge}>${e.you ? "You" : e.by || (actors[e.actor] ?? e.actor)}<//></li>`)}</ol><//>`)}
      ${data.items.length === 0 && asked ? html`<${Card}><${Empty} title="Nothing is like that"><p>Choose another day, or look for something else.</p><//><//>` : data.items.length === 0 && html`<${Card}><${Empty} title="Nothing yet"><p>Logins, key rotations and changes of your subscription are listed here.</p><//><//>`}
      ${list.moreError && html`<${Note} kind="bad" role="alert">${list.moreError.message}<//>`}
      ${data.next && html`<p class="more"><button class="button" disabled=${list.busy} onClick=${list.more}>${list.busy ? "Loading…" : "Show older activity"}</button></p>`}`}<//>`;
}

function byDay(entries) {
  const days = new Map();
  for (const entry of entries) {
    const day = onDay(entry.at);
    days.set(day, [...(days.get(day) ?? []), entry]);
  }
  return [...days];
}
