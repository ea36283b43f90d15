// Parts that are loaded when they are drawn.

import { html, useEffect, useState } from "./vendor/preact.js";
import { Loaded } from "./ui.js";

const notLoaded = { message: "A part of the console could not be loaded. Check your connection; after an update of the console, load the page again." };

// lazy is a component that load imports, exported there under a name. Until it is there a skeleton of so many lines takes its place.
export function lazy(load, name, lines = 6) {
  let part = null;
  return function Lazy(props) {
    const [state, setState] = useState({ data: part, error: null });
    const fetch = () => load().then((module) => { part = module[name]; setState({ data: part, error: null }); }, () => setState({ data: null, error: notLoaded }));
    useEffect(() => { if (!state.data) fetch(); }, []);
    return html`<${Loaded} of=${{ ...state, reload: fetch }} lines=${lines}>${(Part) => html`<${Part} ...${props} />`}<//>`;
  };
}

// ChartRoom is as high as a chart before there is one, so that nothing moves when it comes.
export const ChartRoom = ({ children }) => html`<div class="chart-room">${children}</div>`;

// lazyChart is lazy for a chart, which has its room from the start.
export function lazyChart(load, name) {
  const Chart = lazy(load, name);
  return (props) => html`<${ChartRoom}><${Chart} ...${props} /><//>`;
}
