// Calls by day as stacked bars, with the same numbers as a table for who cannot see them.

import { html, useEffect, useRef } from "./vendor/preact.js";
import uPlot from "./vendor/uplot.js";
import { count, onDay } from "./format.js";

// A picture does not follow the page's colours, so they are asked for whenever it is drawn.
function coloursOf(place) {
  return (name) => {
    place.style.color = `var(${name})`;
    const { color } = getComputedStyle(place);
    place.style.color = "";
    return color;
  };
}

const paperWidth = 640; // fits the narrowest paper that is common

// Its style sheet comes with it: no other part of the console needs it.
await new Promise((loaded) => {
  const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("./vendor/uplot.css", import.meta.url), onload: loaded, onerror: loaded });
  document.head.append(sheet);
});

const shortCount = (n) => (n >= 1e6 ? n / 1e6 + "M" : n >= 1e3 ? n / 1e3 + "k" : String(n));

function options(width, height, colour, days, tip) {
  const axis = { stroke: colour("--ink-faint"), font: "12px Inter, sans-serif", ticks: { show: false }, grid: { stroke: colour("--line"), width: 1 } };
  const bars = uPlot.paths.bars({ size: [0.66, 34], radius: [0.2, 0], align: 0 });
  const series = (name) => ({ fill: colour(name), stroke: colour(name), width: 0, paths: bars, points: { show: false } });
  return {
    width, height, padding: [12, 6, 0, 0], legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, move: (u, left, top) => { tip(u, left); return [left, top]; } },
    scales: { x: { time: false, range: [-0.6, days.length - 0.4] }, y: { range: (u, min, max) => [0, Math.max(4, Math.ceil(max * 1.12))] } },
    axes: [
      { ...axis, grid: { show: false }, size: 30, splits: () => days.map((d, i) => i), values: (u, at) => at.map((i) => (keepsLabel(i, days.length, width) ? String(i + 1) : "")) },
      { ...axis, size: 46, space: 36, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6], values: (u, at) => at.map(shortCount) },
    ],
    series: [{}, series("--warn"), series("--accent")],
  };
}

const keepsLabel = (i, length, width) => {
  const every = width / length > 24 ? 1 : width / length > 13 ? 2 : 5;
  return every === 1 || i === 0 || (i + 1) % every === 0;
};

export function DayChart({ days, label }) {
  const place = useRef();
  const bubble = useRef();
  useEffect(() => {
    const data = [days.map((d, i) => i), days.map((d) => d.included + d.overage), days.map((d) => d.included)];
    let plot = null;
    const tip = (u, left) => {
      const i = Math.round(u.posToVal(left, "x"));
      const d = left < 0 ? null : days[i];
      bubble.current.hidden = !d;
      if (!d) return;
      bubble.current.textContent = `${onDay(d.day)}: ${count(d.included + d.overage)} calls` + (d.overage ? `, ${count(d.overage)} over the limit` : "");
      const at = u.valToPos(i, "x") + u.bbox.left / devicePixelRatio;
      bubble.current.style.left = Math.min(Math.max(at, 90), place.current.clientWidth - 90) + "px";
    };
    const draw = (onPaper) => {
      plot?.destroy();
      place.current.classList.toggle("is-on-paper", onPaper);
      const width = onPaper ? paperWidth : place.current.clientWidth;
      const drawing = options(width, width < 480 ? 190 : 240, coloursOf(place.current), days, tip);
      plot = new uPlot(onPaper ? { ...drawing, pxRatio: 3 } : drawing, data, place.current);
    };
    let drawnWidth = 0;
    let onPaper = false;
    const drawOnScreen = () => {
      if (!place.current || onPaper) return;
      drawnWidth = place.current.clientWidth;
      draw(false);
    };
    const printing = () => { onPaper = true; draw(true); };
    const printed = () => { onPaper = false; drawOnScreen(); };
    drawOnScreen();
    const resized = new ResizeObserver(() => { if (place.current?.clientWidth !== drawnWidth) drawOnScreen(); });
    resized.observe(place.current);
    const schemes = ["(prefers-color-scheme: dark)", "(forced-colors: active)"].map((query) => matchMedia(query));
    for (const scheme of schemes) scheme.addEventListener("change", drawOnScreen);
    addEventListener("beforeprint", printing);
    addEventListener("afterprint", printed);
    document.fonts?.ready.then(() => plot && drawOnScreen());
    return () => {
      resized.disconnect();
      for (const scheme of schemes) scheme.removeEventListener("change", drawOnScreen);
      removeEventListener("beforeprint", printing);
      removeEventListener("afterprint", printed);
      plot?.destroy();
      plot = null;
    };
  }, [JSON.stringify(days)]);
  const busy = days.filter((d) => d.included + d.overage > 0);
  return html`<figure class="chart" aria-label=${label}>
    <div class="chart-place" ref=${place} aria-hidden="true" /><div class="chart-tip" ref=${bubble} hidden aria-hidden="true" />
    <figcaption class="legend"><span><i class="key-included" />Within the plan</span><span><i class="key-overage" />Over the limit</span></figcaption>
    <div class="visually-hidden"><table><caption>${label}</caption><thead><tr><th scope="col">Day</th><th scope="col">Within the plan</th><th scope="col">Over the limit</th></tr></thead>
    <tbody>${busy.map((d) => html`<tr><th scope="row">${onDay(d.day)}</th><td>${count(d.included)}</td><td>${count(d.overage)}</td></tr>`)}</tbody></table></div>
  </figure>`;
}
