// Whether somebody looks: the tab is visible and was used in the last minutes. While nobody does, nothing asks the server.

const idleAfter = 5 * 60_000;
const waiting = new Set();
let used = Date.now();

export const attended = () => !document.hidden && Date.now() - used < idleAfter;

function noticed() {
  used = Date.now();
  if (document.hidden) return;
  for (const work of [...waiting]) {
    waiting.delete(work);
    work();
  }
}

for (const sign of ["pointerdown", "pointermove", "keydown", "scroll", "focus"]) addEventListener(sign, noticed, { passive: true, capture: true });
document.addEventListener("visibilitychange", noticed);

// later does work after a pause in milliseconds, or, when nobody looks then, as soon as somebody does. It returns how to call
// it off.
export function later(pause, work) {
  const timer = setTimeout(() => (attended() ? work() : waiting.add(work)), pause);
  return () => { clearTimeout(timer); waiting.delete(work); };
}
