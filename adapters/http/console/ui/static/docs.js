// The documentation of the API, for whoever calls it.

import { html } from "./vendor/preact.js";
import { Card, Heading } from "./ui.js";
import { FirstCall } from "./code.js";

const fields = [
  ["isFakeFace", "true when the face is a photo, a screen or a mask: isFakeLikelihood is above the threshold"],
  ["isFakeLikelihood", "0 for a live face to 1 for a spoof"],
  ["isValidFace", "false when the face is too small, cut off, too dark or bright, blurred or turned away: ask for another photo"],
  ["faceBrightness", "mean brightness of the face, 0 to 255"],
  ["latency_ms", "how long the check took in the service"],
  ["details", "only when you ask for them: how many faces were found, where the judged one is, how the photo was turned, the model, and why the face is not valid"],
];

export function Docs({ session }) {
  const base = session?.baseUrl ?? location.origin;
  return html`<${Heading} title="Documentation"><p class="muted">How your application calls the API.</p><//>
    <${Card} title="The first call"><${FirstCall} /><p class="small">Keys are shown once, when they are issued. Issue one on the <a href="/console/keys">API keys</a> screen, and the code is shown there with the key in it.</p><//>
    <${Card} title="Check a face"><div class="stack">
      <p><code class="wrap">POST ${base}/v1/check/liveness</code></p>
      <p>Send JSON with two fields: <code>image</code>, the base64 text of a photo of at most 10 MB, and <code>image_format</code>, <code>jpeg</code> or <code>png</code>. Of several faces the largest is judged. No image is ever stored.</p>
      <p>With a third field, <code>"details": true</code>, the answer says more than the verdict.</p>
      <h3>What the answer says</h3>
      <dl class="facts">${fields.map(([name, text]) => html`<div key=${name}><dt><code>${name}</code></dt><dd>${text}</dd></div>`)}</dl>
      <p>Beside it, <code>metadata</code> holds <code>remaining_calls</code> and <code>over_limit_calls</code>, this call included. Only successful checks are counted; every error is free.</p></div><//>
    <${Card} title="Everything else"><p>Errors, limits, retries with an <code>Idempotency-Key</code>, why a face is not valid, and what changes when: <a href="/docs">the API’s documentation</a>, also as an <a href="/openapi.json">OpenAPI document</a>. Failed calls are listed on the <a href="/console/usage">Usage</a> screen.</p><//>`;
}
