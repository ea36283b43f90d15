// Why an event is as it is: the events that it follows from, from the log itself.

import { html } from "./vendor/preact.js";
import { lastIn, useRead } from "./api.js";
import { Card, Heading, Loaded } from "./ui.js";
import { atTime, onDay } from "./format.js";

const Where = ({ place }) => html`<p class="muted">${place.type}, revision ${place.revision} of <code class="wrap">${place.stream}</code>, ${onDay(place.recordedAt)}, ${atTime(place.recordedAt)} UTC. <a href=${"/console/replay/" + place.position} aria-label=${"What held then, at position " + place.position}>What held then</a></p>`;

export function Explain() {
  const read = useRead("explanations/" + lastIn(location.pathname));
  return html`<${Heading} title="Why"><p class="muted"><a href="/console/activity">All activity</a></p><//>
    <${Loaded} of=${read} lines=${6}>${(x) => html`<${Card} title=${x.summary}><${Where} place=${x} /><//>
      <${Card} title="What it follows from, and what followed"><ul class="reasons">${x.reasons.map((r, i) => html`<li key=${i}><p>${r.says}</p>${r.eventId && html`<${Where} place=${r} />`}</li>`)}</ul><//>`}<//>`;
}
