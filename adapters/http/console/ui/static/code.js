// The first call, in the language of who makes it.

import { html, useState } from "./vendor/preact.js";
import { useRead } from "./api.js";
import { Loaded, Snippet } from "./ui.js";

const chosenKey = "liveness.language";
const remembered = () => { try { return localStorage.getItem(chosenKey); } catch { return null; } };
const remember = (id) => { try { localStorage.setItem(chosenKey, id); } catch { /* it is a convenience */ } };

// FirstCall shows the code for a check, with a key in it where it is known. The id tells two of them apart that are on one screen.
export function FirstCall({ apiKey, id = "first" }) {
  const snippets = useRead("snippets");
  return html`<${Loaded} of=${snippets} lines=${6}>${(data) => html`<${Languages} data=${data} apiKey=${apiKey} id=${id} />`}<//>`;
}

function Languages({ data: { snippets, placeholder }, apiKey, id }) {
  const [chosen, setChosen] = useState(snippets.some((s) => s.id === remembered()) ? remembered() : snippets[0].id);
  const choose = (language) => { setChosen(language); remember(language); };
  const moved = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = snippets[(snippets.findIndex((s) => s.id === chosen) + step + snippets.length) % snippets.length];
    choose(next.id);
    document.getElementById(`${id}-${next.id}`).focus();
  };
  const shown = snippets.find((s) => s.id === chosen);
  const text = apiKey ? shown.text.replaceAll(placeholder, apiKey) : shown.text;
  return html`<div class="languages"><div role="tablist" aria-label="Language" onKeyDown=${moved}>${snippets.map((s) => html`<button key=${s.id} type="button" role="tab" id=${`${id}-${s.id}`}
      aria-selected=${String(s.id === chosen)} aria-controls=${id + "-code"} tabindex=${s.id === chosen ? 0 : -1} onClick=${() => choose(s.id)}>${s.name}</button>`)}</div>
    <div role="tabpanel" id=${id + "-code"} aria-labelledby=${`${id}-${chosen}`}>
      <${Snippet} id=${id + "-call"} title="Check a face" text=${text} />
      <p class="small">${shown.how}${shown.how.endsWith(".") ? "" : "."} A photo of a face named <code>face.jpg</code> lies in the same folder.${!apiKey && html` Replace <code>${placeholder}</code> by your key.`}</p></div></div>`;
}

// UsageCall shows how this month's usage is read.
export const UsageCall = ({ baseUrl }) => html`<${Snippet} id="usage-command" title="Read this month’s usage" text=${`curl ${baseUrl}/v1/usage -H "X-API-Key: YOUR_API_KEY"`} />`;
