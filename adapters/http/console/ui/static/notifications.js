// What the customer is told about usage by mail.

import { html, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Card, Loaded, Note, announce, useBusy } from "./ui.js";
import { count } from "./format.js";

// A fixed one is only shown: to readers, and once the subscription has ended.
export function Notifications({ plan, fixed }) {
  const settings = useRead("notifications");
  return html`<${Loaded} of=${settings} lines=${3}>${(data) => html`<${Settings} key=${JSON.stringify(data)} data=${data} plan=${plan} fixed=${fixed} onDone=${settings.reload} />`}<//>`;
}

function Settings({ data, plan, fixed, onDone }) {
  const { busy, error, run } = useBusy();
  const [on, setOn] = useState(data.usageMails);
  const [warn, setWarn] = useState(String(data.warnPercent));
  const [step, setStep] = useState(String(data.stepPercent));
  const changed = on !== data.usageMails || Number(warn) !== data.warnPercent || Number(step) !== data.stepPercent;
  const save = (event) => {
    event.preventDefault();
    run(async () => {
      await command("notifications", { usageMails: on, warnPercent: Number(warn), stepPercent: Number(step) });
      await onDone();
      announce("Mails about usage are set");
    });
  };
  const calls = (percent) => count(Math.ceil((plan.limit * Number(percent)) / 100));
  return html`<${Card} title="Mails about usage"><form class="stack" onSubmit=${save}>
    <p class="muted">Every owner gets a mail when the month’s calls reach these shares of the plan, each once a month. After a plan change they count anew.</p>
    <label class="check"><input type="checkbox" id="usage-mails" checked=${on} disabled=${fixed} onChange=${(e) => setOn(e.target.checked)} /><span>Send mails about usage</span></label>
    <fieldset class="pair" disabled=${fixed || !on}><legend class="visually-hidden">At which shares of the plan</legend>
      <${Percent} id="warn-percent" label="Warn at (% of the plan)" value=${warn} set=${setWarn} min="50" max="99" hint=${calls(warn) + " calls, and again at the limit"} wrong=${error?.fields?.warnPercent} />
      <${Percent} id="step-percent" label="Beyond the limit, at each further (% of the plan)" value=${step} set=${setStep} min="10" max="1000" hint=${"every " + calls(step) + " calls"} wrong=${error?.fields?.stepPercent} />
    </fieldset>
    ${error && !error.fields && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <div class="actions"><button class="button button-primary" id="save-notifications" disabled=${busy || !changed}>${busy ? "Saving…" : "Save"}</button></div></form><//>`;
}

const Percent = ({ id, label, value, set, min, max, hint, wrong }) => html`<div class="field"><label for=${id}>${label}</label>
  <input id=${id} type="number" inputmode="numeric" min=${min} max=${max} step="1" required value=${value} onInput=${(e) => set(e.target.value)} aria-invalid=${wrong ? "true" : undefined} aria-describedby=${id + "-hint"} />
  <p class=${wrong ? "field-error" : "hint"} id=${id + "-hint"} role=${wrong ? "alert" : undefined}>${wrong ?? hint}</p></div>`;
