// What scripts add to the pages before login. All of them work without it.

import { met } from "./password_rules.js";

for (const list of document.querySelectorAll("[data-rules-for]")) {
  const input = document.getElementById(list.dataset.rulesFor);
  const items = [...list.querySelectorAll("[data-rule]")];
  for (const item of items) item.append(Object.assign(document.createElement("span"), { className: "visually-hidden" }));
  const show = () => {
    const now = met(input.value);
    for (const item of items) {
      item.classList.toggle("is-met", now[item.dataset.rule]);
      item.lastElementChild.textContent = input.value === "" ? "" : now[item.dataset.rule] ? " (met)" : " (missing)";
    }
    if (Object.values(now).every(Boolean)) {
      input.removeAttribute("aria-invalid");
      document.getElementById(input.id + "-error")?.remove();
    }
  };
  input.addEventListener("input", show);
  show();
}

for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  const says = (word) => button.replaceChildren(word, Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: " the password" }));
  says("Show");
  button.hidden = false;
  button.addEventListener("click", () => {
    input.type = input.type === "text" ? "password" : "text";
    says(input.type === "text" ? "Hide" : "Show");
    input.focus();
  });
}

// navigator.clipboard exists only on secure pages; without it the text is selected, so that one keystroke copies it.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  const label = button.firstChild;
  const said = button.firstChild.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      label.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      label.textContent = "Selected";
    }
    setTimeout(() => { label.textContent = said; }, 2000);
  });
}

// A second press would send the form twice. A page that comes back from the browser's cache gets its button back.
const forms = document.querySelectorAll("form[data-once]");
for (const form of forms) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button[type=submit]")) setTimeout(() => { button.disabled = true; });
  });
}
addEventListener("pageshow", () => {
  for (const form of forms) for (const button of form.querySelectorAll("button[type=submit]")) button.disabled = false;
});

// What becomes of a mail is known seconds later, or minutes when its recipient's server sends it back.
const refreshed = () => document.querySelector("[data-refresh]");
const refresh = async () => {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const shown = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".mail-state");
    if (answer.ok && shown && refreshed() && shown.textContent !== refreshed().textContent) refreshed().replaceWith(shown);
  } catch { /* the next one may get through */ }
  if (refreshed()) setTimeout(refresh, 5000);
};
if (refreshed()) setTimeout(refresh, 2000);

document.querySelector("[aria-invalid=true]")?.focus();
