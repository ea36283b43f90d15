// The calls of a month added up, and the straight line that they lead along.

import { html, useRef } from "./vendor/preact.js";
import { Chart, plotAxes, usePlot } from "./chart.js";
import { count, inMonth, onDay } from "./format.js";

export function ForecastChart({ cost }) {
  const place = useRef();
  const bubble = useRef();
  usePlot(place, cost, (width, height, colour) => ({ options: options(width, height, colour, cost), data: lines(cost) }));
  let sum = 0;
  const rows = cost.days.slice(0, Math.ceil(cost.passed)).map((d) => [onDay(d.day), count((sum += d.included + d.overage))]);
  if (cost.forecast !== null) rows.push([onDay(cost.days[cost.days.length - 1].day) + ", foretold", count(cost.forecast)]);
  const legend = [{ name: "Calls so far", key: "key-included" }, cost.forecast !== null && { name: "At today’s pace", key: "key-forecast" }, { name: "Limit of the plan", key: "key-limit" }].filter(Boolean);
  return html`<${Chart} label=${"Calls of " + inMonth(cost.month) + " added up, and where they lead"} place=${place} bubble=${bubble} legend=${legend} head=${["Day", "Calls of the month by its end"]} rows=${rows} />`;
}

// lines are the calls added up day by day, the straight line from the first to the last day through now, and the limit. Places are
// days since the month began.
function lines({ days, passed, begun, calls, forecast, limit }) {
  const at = [0];
  const sums = [0];
  days.forEach((d, i) => {
    if (i >= passed) return;
    at.push(Math.min(i + 1, passed));
    sums.push(sums[sums.length - 1] + d.included + d.overage);
  });
  sums[sums.length - 1] = calls;
  const end = days.length;
  const x = [...new Set([...at, begun, end])].sort((a, b) => a - b);
  const pace = forecast === null ? null : forecast / (end - begun);
  return [x,
    x.map((t) => (at.includes(t) ? sums[at.indexOf(t)] : t < passed ? undefined : null)),
    x.map((t) => (pace === null || t < begun ? null : (t - begun) * pace)),
    x.map(() => limit)];
}

function options(width, height, colour, cost) {
  const top = Math.max(cost.limit, cost.forecast ?? 0, cost.calls, 4) * 1.12;
  const names = cost.days.map((d, i) => String(i + 1));
  const every = width / names.length > 24 ? 1 : width / names.length > 13 ? 2 : 5;
  const [days, counts] = plotAxes(colour, names, (i) => every === 1 || i === 0 || (i + 1) % every === 0);
  const line = (name, more) => ({ stroke: colour(name), width: 2, points: { show: false }, ...more });
  return {
    width, height, padding: [12, 6, 0, 0], legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false, range: [0, names.length] }, y: { range: [0, top] } },
    axes: [{ ...days, splits: () => names.map((name, i) => i + 0.5), values: (u, at) => days.values(u, at.map((t) => t - 0.5)) }, counts],
    series: [{}, line("--accent", { fill: colour("--accent-soft") }), line("--warn", { dash: [6, 5] }), line("--ink-faint", { width: 1, dash: [2, 4] })],
  };
}
