// The documentation of the API, for whoever calls it.

import { html } from "./vendor/preact.js";
import { useRead } from "./api.js";
import { Card, Heading, Loaded, Table } from "./ui.js";
import { FirstCall } from "./code.js";

const fields = [
  ["isFakeFace", "true when the face is a photo, a screen or a mask: isFakeLikelihood is above the threshold"],
  ["isFakeLikelihood", "0 for a live face to 1 for a spoof"],
  ["isValidFace", "false when the face is too small, cut off, too dark or bright, blurred or turned away: ask for another photo"],
  ["faceBrightness", "mean brightness of the face, 0 to 255"],
  ["latency_ms", "how long the check took in the service"],
  ["details", "only when you ask for them: how many faces were found, where the judged one is, how the photo was turned, the model, and why the face is not valid"],
];

const errors = [
  ["400", "invalid_request", "The body is not JSON, a field is missing or of another type, or image_format is unknown.", "Correct the request."],
  ["400", "invalid_image", "The base64 or the image is damaged, it is not in the format that you state, or shows no face.", "Take another photo."],
  ["401", "invalid_api_key", "The X-API-Key header is missing, or the key is unknown or was replaced.", "Send a current key."],
  ["403", "subscription_inactive", "The subscription has ended or has not begun.", "See AWS Marketplace, Manage subscriptions."],
  ["408", "request_timeout", "The body arrived too slowly.", "Send it again."],
  ["409", "idempotency_conflict", "The Idempotency-Key was used with another request.", "Use a new key for a new request."],
  ["413", "image_too_large", "The image has more than 10 MB.", "Send a smaller one."],
  ["415", "unsupported_media_type", "Content-Type is not application/json.", "Correct the header."],
  ["429", "quota_exceeded", "The limit is reached, and calls beyond it are to be refused.", "Change it on the Plan screen, or wait for the next month."],
  ["429", "rate_limited", "Too many calls in a short time.", "Wait as long as Retry-After says."],
  ["503", "overloaded, service_unavailable", "We cannot answer now; nothing is counted.", "Repeat it after Retry-After."],
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
    <${Issues} />
    <${Card} title="Errors"><p>An error has <code>error.code</code> for your program and <code>error.message</code> for people. Its <code>X-Request-Id</code> header is what we ask for; failed calls are listed on the <a href="/console/usage">Usage</a> screen.</p>
      <${Table} label="Errors"><thead><tr><th scope="col">Status</th><th scope="col">Code</th><th scope="col">When</th><th scope="col">What to do</th></tr></thead>
      <tbody>${errors.map(([status, code, when, what]) => html`<tr key=${code}><td class="num">${status}</td><th scope="row"><code>${code}</code></th><td class="reason">${when}</td><td class="reason">${what}</td></tr>`)}</tbody><//><//>
    <${Card} title="Repeat without being counted twice"><p>Send an <code>Idempotency-Key</code> header with every check, a new UUID for instance. When an answer is lost, send the same request again with the same key within 24 hours: you get the first answer, and it is counted once.</p><//>
    <${Card} title="Usage and health"><div class="stack"><p><code class="wrap">GET ${base}/v1/usage</code> tells this month’s calls, the limit and what happens beyond it, for the key in <code>X-API-Key</code>. It is free.</p>
      <p><code class="wrap">GET ${base}/v1/health</code> needs no key, and answers 200 while the service is well.</p></div><//>`;
}

// Issues lists the reasons that details may hold, as the service words them.
function Issues() {
  const answer = useRead("snippets");
  return html`<${Loaded} of=${answer} lines=${8}>${({ issues }) => html`<${Card} title="Why a face is not valid"><p>With details, <code>details.issues</code> holds a code for your program and a message for the person before the camera:</p>
    <dl class="facts" id="issues">${issues.map((i) => html`<div key=${i.code}><dt><code>${i.code}</code></dt><dd>${i.message}</dd></div>`)}</dl><//>`}<//>`;
}
