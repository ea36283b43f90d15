// A photo tried on the console: chosen, dropped or taken with the camera, judged as the API does, and drawn with what was found.

import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { command, useRead } from "./api.js";
import { Badge, Card, Heading, Icon, Note, announce, useBusy } from "./ui.js";
import { Verdict } from "./checks.js";
import { count, likelihood } from "./format.js";

const largest = 10 * 2 ** 20;
const formats = { "image/jpeg": "jpeg", "image/png": "png" };

export function Try() {
  const { busy, error, run, clear } = useBusy();
  const [tried, setTried] = useState(null);
  const [camera, setCamera] = useState(false);
  const tries = useRead("try");
  const judge = (photo) => run(async () => {
    setTried(null);
    if (photo.size > largest) throw new Error("The photo is larger than 10 MB. Choose a smaller one.");
    const [picture, image] = await Promise.all([shown(photo), base64(photo)]);
    setTried({ picture });
    const verdict = await command("try", { image, image_format: formats[photo.type] ?? "jpeg" }).finally(tries.reload);
    setTried({ picture, verdict });
    announce("Judged: " + (verdict.isFakeFace ? "suspected fake" : "live"));
  });
  return html`<${Heading} title="Try it"><p class="muted">See what the API says of a photo. It is judged by the same models and not counted as a call; the photo is not kept.</p><//>
    <${Card} title="Your photo" aside=${tries.data && html`<span class="muted" id="tries-left">${count(tries.data.left)} of ${count(tries.data.aDay)} photos left today (UTC)</span>`}>
      ${camera ? html`<${Camera} onClose=${() => setCamera(false)} onTaken=${(photo) => { setCamera(false); judge(photo); }} />`
        : html`<${Choose} busy=${busy} onChosen=${judge} onCamera=${() => { clear(); setTried(null); setCamera(true); }} />`}
      ${error && html`<${Note} kind="bad" role="alert">${error.message}<//>`}
    <//>
    ${tried && html`<div class="tried">
      ${tried.picture && html`<${Card} title=${tried.verdict ? "What was judged" : "The photo"}><${Picture} of=${tried.picture} details=${tried.verdict?.details} /><//>`}
      ${tried.verdict ? html`<${Said} verdict=${tried.verdict} />` : busy && html`<div class="card skeleton" role="status"><span class="visually-hidden">Judging…</span><i /><i /><i /></div>`}
    </div>`}`;
}

function Choose({ busy, onChosen, onCamera }) {
  const [over, setOver] = useState(false);
  const take = (files) => { if (files?.length && !busy) onChosen(files[0]); };
  const dropped = (event) => { event.preventDefault(); setOver(false); take(event.dataTransfer.files); };
  const chosen = (event) => { take(event.target.files); event.target.value = ""; };
  return html`<label class=${"drop" + (over ? " is-over" : "")} onDragOver=${(e) => { e.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${dropped}>
      <input id="photo" type="file" accept="image/jpeg,image/png" class="visually-hidden" disabled=${busy} onChange=${chosen} />
      <${Icon} name="try" /><strong>${busy ? "Judging…" : "Drop a photo here, or choose one"}</strong><span class="muted">JPEG or PNG, at most 10 MB, with one face</span></label>
    <div class="actions"><button class="button" id="use-camera" disabled=${busy} onClick=${onCamera}><${Icon} name="try" />Use the camera</button></div>`;
}

// Camera shows the picture of the camera while it is open; leaving it in any way turns the camera off.
function Camera({ onTaken, onClose }) {
  const video = useRef();
  const [state, setState] = useState({ ready: false, problem: "" });
  useEffect(() => {
    let stream = null, gone = false;
    const stop = () => stream?.getTracks().forEach((track) => track.stop());
    (async () => {
      try {
        if (!navigator.mediaDevices) throw new Error("insecure");
        stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } } });
        if (gone) return stop();
        video.current.srcObject = stream;
        await video.current.play();
        setState({ ready: true, problem: "" });
      } catch (error) {
        if (!gone) setState({ ready: false, problem: problemWith(error) });
      }
      return undefined;
    })();
    return () => { gone = true; stop(); };
  }, []);
  const take = async () => {
    const canvas = document.createElement("canvas");
    canvas.width = video.current.videoWidth;
    canvas.height = video.current.videoHeight;
    canvas.getContext("2d").drawImage(video.current, 0, 0);
    canvas.toBlob(onTaken, "image/jpeg", 0.92);
  };
  return html`${state.problem ? html`<${Note} kind="warn" role="alert">${state.problem}<//>` : html`<video class="camera" ref=${video} muted playsinline aria-label="Picture of the camera" />`}
    <div class="actions"><button class="button" id="close-camera" onClick=${onClose}>${state.problem ? "Choose a photo instead" : "Cancel"}</button>
      ${!state.problem && html`<button class="button button-primary" id="take-photo" disabled=${!state.ready} onClick=${take}>Take the photo</button>`}</div>`;
}

const problemWith = (error) => ({
  NotAllowedError: "The browser does not allow the camera here. Allow it in the address bar, or choose a photo.",
  NotFoundError: "No camera was found. Connect one, or choose a photo.",
  NotReadableError: "The camera is used by another program. Close it there, or choose a photo.",
}[error.name] ?? "The camera cannot be used here. Choose a photo.");

// Picture draws the photo upright and turned as it was judged, and the box of the face.
function Picture({ of: picture, details }) {
  const canvas = useRef();
  useEffect(() => {
    const turned = details?.rotated ?? 0, onSide = turned % 180 !== 0;
    const width = onSide ? picture.height : picture.width, height = onSide ? picture.width : picture.height;
    const scale = Math.min(1, 900 / Math.max(width, height));
    canvas.current.width = width * scale;
    canvas.current.height = height * scale;
    const draw = canvas.current.getContext("2d");
    draw.scale(scale, scale);
    draw.translate(width / 2, height / 2);
    draw.rotate((turned * Math.PI) / 180);
    draw.drawImage(picture, -picture.width / 2, -picture.height / 2);
    draw.resetTransform();
    if (!details) return;
    const { x, y, width: w, height: h } = details.box;
    for (const [colour, line] of [["#fff", 5], ["#0b7a5f", 3]]) {
      draw.strokeStyle = colour;
      draw.lineWidth = line;
      draw.strokeRect(x * scale, y * scale, w * scale, h * scale);
    }
  }, [picture, details]);
  const says = details ? "Your photo, with a box around the face that was judged" : "Your photo";
  return html`<canvas class="picture" ref=${canvas} role="img" aria-label=${says} />
    ${details?.rotated > 0 && html`<p class="small">The face was not upright: the photo was turned by ${details.rotated} degrees before it was judged.</p>`}`;
}

function Said({ verdict }) {
  const { details } = verdict;
  return html`<${Card} title="What the API says" aside=${html`<${Verdict} check=${{ fakeFace: verdict.isFakeFace }} />`}>
    <dl class="facts">
      <div><dt>Likelihood of a fake</dt><dd class="num" id="tried-likelihood">${likelihood(verdict.isFakeLikelihood)}, a fake above ${details.threshold}</dd></div>
      <div><dt>Face</dt><dd>${verdict.isValidFace ? html`<${Badge} kind="good">Valid<//>` : html`<${Badge} kind="warn">Not usable<//>`}</dd></div>
      <div><dt>Faces found</dt><dd class="num">${count(details.faces)}${details.faces > 1 ? ", the largest one is judged" : ""}</dd></div>
      <div><dt>Brightness</dt><dd class="num">${verdict.faceBrightness.toFixed(0)} of 255</dd></div>
      <div><dt>Latency</dt><dd class="num">${count(verdict.latency_ms)} ms</dd></div>
      <div><dt>Models</dt><dd>${details.modelPack}</dd></div>
    </dl>
    ${details.issues.length > 0 && html`<div class="stack"><h3>What to do better</h3><ul class="issues" id="tried-issues">${details.issues.map((issue) => html`<li key=${issue.code}>${issue.message} <code>${issue.code}</code></li>`)}</ul></div>`}
    <p class="small">Your application gets the same with <code>"details": true</code> in its request.</p><//>`;
}

// shown gives the photo as the browser shows it, or null for one that it cannot show: the server says what it is.
const shown = (photo) => createImageBitmap(photo).catch(() => null);

const base64 = (photo) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => reject(new Error("The photo cannot be read. Choose it again."));
  reader.readAsDataURL(photo);
});
