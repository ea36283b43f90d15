// Stacked bars, with the same numbers as a table for who cannot see them.

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

// plotAxes are the two axes of a chart with a name for each of its places, of which those are written that there is room for.
export function plotAxes(colour, names, written) {
  const axis = { stroke: colour("--ink-faint"), font: "12px Inter, sans-serif", ticks: { show: false }, grid: { stroke: colour("--line"), width: 1 } };
  return [
    { ...axis, grid: { show: false }, size: 30, splits: () => names.map((name, i) => i), values: (u, at) => at.map((i) => (written(i) ? names[i] : "")) },
    { ...axis, size: 46, space: 36, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6], values: (u, at) => at.map(shortCount) },
  ];
}

function options(width, height, colour, points, series, written, tip) {
  const bars = uPlot.paths.bars({ size: [0.66, 34], radius: [0.2, 0], align: 0 });
  const drawn = ({ fill }) => ({ fill: colour(fill), stroke: colour(fill), width: 0, paths: bars, points: { show: false } });
  return {
    width, height, padding: [12, 6, 0, 0], legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, move: (u, left, top) => { tip(u, left); return [left, top]; } },
    scales: { x: { time: false, range: [-0.6, points.length - 0.4] }, y: { range: (u, min, max) => [0, Math.max(4, Math.ceil(max * 1.12))] } },
    axes: plotAxes(colour, points.map((p) => p.short), written),
    series: [{}, ...series.map(drawn).reverse()], // the whole stack is drawn first, what is below over it
  };
}

// stacked adds up the values of each point up to each series.
const stacked = (points, series) => [points.map((p, i) => i), ...series.map((s, n) => points.map((p) => p.values.slice(0, n + 1).reduce((sum, v) => sum + v, 0))).reverse()];

// Of days each is named, every second, or every fifth, as there is room for; of hours every sixth or twelfth of the clock.
const writes = {
  day: (points, width) => {
    const every = width / points.length > 24 ? 1 : width / points.length > 13 ? 2 : 5;
    return (i) => every === 1 || i === 0 || (i + 1) % every === 0;
  },
  hour: (points, width) => (i) => parseInt(points[i].short, 10) % (width / points.length > 12 ? 6 : 12) === 0,
};

// usePlot keeps a picture in its place, drawn by plot for a width and colours, again whenever one of them or the data change.
export function usePlot(place, data, plot) {
  useEffect(() => {
    let picture = null;
    const draw = (onPaper) => {
      picture?.destroy();
      place.current.classList.toggle("is-on-paper", onPaper);
      const width = onPaper ? paperWidth : place.current.clientWidth;
      const { options: drawing, data: values } = plot(width, width < 480 ? 190 : 240, coloursOf(place.current));
      picture = new uPlot(onPaper ? { ...drawing, pxRatio: 3 } : drawing, values, place.current);
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
    document.fonts?.ready.then(() => picture && drawOnScreen());
    return () => {
      resized.disconnect();
      for (const scheme of schemes) scheme.removeEventListener("change", drawOnScreen);
      removeEventListener("beforeprint", printing);
      removeEventListener("afterprint", printed);
      picture?.destroy();
      picture = null;
    };
  }, [JSON.stringify(data)]);
}

// Chart is a picture and its legend, with its numbers in rows for who cannot see it.
export const Chart = ({ label, place, bubble, legend, head, rows }) => html`<figure class="chart" aria-label=${label}>
    <div class="chart-place" ref=${place} aria-hidden="true" /><div class="chart-tip" ref=${bubble} hidden aria-hidden="true" />
    <figcaption class="legend">${legend.map((l) => html`<span key=${l.name}><i class=${l.key} />${l.name}</span>`)}</figcaption>
    <div class="visually-hidden"><table><caption>${label}</caption><thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${rows.map(([name, ...values]) => html`<tr><th scope="row">${name}</th>${values.map((v) => html`<td>${v}</td>`)}</tr>`)}</tbody></table></div>
  </figure>`;

// BarChart draws points: each has a name, a short one for the axis, a value for each series, and a text for who points at it. They
// are days or hours.
export function BarChart({ points, series, label, of = "day" }) {
  const place = useRef();
  const bubble = useRef();
  const tip = (u, left) => {
    const i = Math.round(u.posToVal(left, "x"));
    const point = left < 0 ? null : points[i];
    bubble.current.hidden = !point;
    if (!point) return;
    bubble.current.textContent = point.tip;
    const at = u.valToPos(i, "x") + u.bbox.left / devicePixelRatio;
    bubble.current.style.left = Math.min(Math.max(at, 90), place.current.clientWidth - 90) + "px";
  };
  usePlot(place, [points, series], (width, height, colour) => ({
    options: options(width, height, colour, points, series, writes[of](points, width), tip), data: stacked(points, series),
  }));
  const busy = points.filter((p) => p.values.some((v) => v > 0));
  return html`<${Chart} label=${label} place=${place} bubble=${bubble} legend=${series} head=${[of === "day" ? "Day" : "Hour", ...series.map((s) => s.name)]} rows=${busy.map((p) => [p.name, ...p.values.map(count)])} />`;
}

const billing = [{ name: "Within the plan", fill: "--accent", key: "key-included" }, { name: "Over the limit", fill: "--warn", key: "key-overage" }];

export const DayChart = ({ days, label }) => html`<${BarChart} series=${billing} label=${label} points=${days.map((d, i) => ({
  name: onDay(d.day), short: String(i + 1), values: [d.included, d.overage],
  tip: `${onDay(d.day)}: ${count(d.included + d.overage)} calls` + (d.overage ? `, ${count(d.overage)} over the limit` : ""),
}))} />`;
