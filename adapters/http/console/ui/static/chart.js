// Calls by day as stacked bars, with the same numbers as a table for who cannot see them.

import { html, useEffect, useRef } from "./vendor/preact.js";
import uPlot from "./vendor/uplot.js";
import { count, onDay } from "./format.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const shortCount = (n) => (n >= 1e6 ? n / 1e6 + "M" : n >= 1e3 ? n / 1e3 + "k" : String(n));

function options(width, height, days, tip) {
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
    const draw = () => {
      plot?.destroy();
      const width = place.current.clientWidth;
      plot = new uPlot(options(width, width < 480 ? 190 : 240, days, tip), data, place.current);
    };
    draw();
    let drawnWidth = place.current.clientWidth;
    const resized = new ResizeObserver(() => { if (place.current && place.current.clientWidth !== drawnWidth) { drawnWidth = place.current.clientWidth; draw(); } });
    resized.observe(place.current);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    document.fonts?.ready.then(() => plot && draw());
    return () => { resized.disconnect(); scheme.removeEventListener("change", draw); plot?.destroy(); plot = null; };
  }, [JSON.stringify(days)]);
  const busy = days.filter((d) => d.included + d.overage > 0);
  return html`<figure class="chart" aria-label=${label}>
    <div class="chart-place" ref=${place} aria-hidden="true" /><div class="chart-tip" ref=${bubble} hidden aria-hidden="true" />
    <figcaption class="legend"><span><i class="key-included" />Within the plan</span><span><i class="key-overage" />Over the limit</span></figcaption>
    <table class="visually-hidden"><caption>${label}</caption><thead><tr><th scope="col">Day</th><th scope="col">Within the plan</th><th scope="col">Over the limit</th></tr></thead>
    <tbody>${busy.map((d) => html`<tr><th scope="row">${onDay(d.day)}</th><td>${d.included}</td><td>${d.overage}</td></tr>`)}</tbody></table>
  </figure>`;
}
