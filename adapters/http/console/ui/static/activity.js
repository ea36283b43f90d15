import { html } from "./vendor/preact.js";
import { useList } from "./list.js";
import { Badge, Card, Empty, Heading, Loaded, Note } from "./ui.js";
import { atTime, onDay } from "./format.js";

const actors = { buyer: "Registration", user: "Console", "api-client": "API", marketplace: "AWS Marketplace", system: "System", operator: "Support", "login page": "Login page", "mailed link": "Mailed link" };
const alarming = new Set(["LoginFailed", "MemberRemoved", "SubscriptionEnded", "UnsubscribeRequested"]);

export function Activity() {
  const list = useList("activity", "entries", "before");
  return html`<${Heading} title="Activity"><p class="muted">What happened to this customer and to your login, as our event log has it. Times are UTC.</p><//>
    <${Loaded} of=${list} lines=${8}>${(data) => html`${byDay(data.items).map(([day, entries]) => html`<${Card} key=${day} title=${day}><ol class="timeline">${entries.map((e) => html`<li key=${e.id} class=${alarming.has(e.kind) ? "is-alarming" : ""}>
        <time class="num muted" datetime=${e.at}>${atTime(e.at)}</time><span>${e.person && html`<strong>${e.person}:</strong> `}${e.summary}</span><${Badge}>${e.you ? "You" : e.by || (actors[e.actor] ?? e.actor)}<//></li>`)}</ol><//>`)}
      ${data.items.length === 0 && html`<${Card}><${Empty} title="Nothing yet"><p>Logins, key rotations and changes of your subscription are listed here.</p><//><//>`}
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
