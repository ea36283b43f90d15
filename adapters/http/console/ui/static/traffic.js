// Counted calls of the last 48 hours, by key, and how long they took.

import { html } from "./vendor/preact.js";
import { lazyChart } from "./lazy.js";
import { Card } from "./ui.js";
import { atHour, count, onShortDay } from "./format.js";

const BarChart = lazyChart(() => import("./chart.js"), "BarChart");

const series = [{ name: "Primary key", fill: "--accent", key: "key-primary" }, { name: "Secondary key", fill: "--warn", key: "key-secondary" }];

const took = (latency) => `${count(latency.p50)} ms, 95 % within ${count(latency.p95)} ms`;

// RecentTraffic is the card of the last hours; without calls it says so.
export function RecentTraffic({ data }) {
  const points = data.points.map((p) => {
    const name = `${onShortDay(p.at)}, ${atHour(p.at)}`;
    const calls = p.primary + p.secondary;
    return { name, short: atHour(p.at), values: [p.primary, p.secondary], tip: `${name}: ${count(calls)} calls` + (p.latency ? `, ${took(p.latency)}` : "") };
  });
  return html`<${Card} title="Last 48 hours by key">
    ${data.calls === 0 ? html`<p class="muted" id="no-traffic">No calls in the last 48 hours.</p>` : html`<${BarChart} points=${points} series=${series} label="Counted calls by hour and key, last 48 hours" of="hour" />
      <p class="small" id="latency">Half of these ${count(data.calls)} calls took at most ${took(data.latency)}, in the service: the way to us and back is not in it.</p>`}<//>`;
}
