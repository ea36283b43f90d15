// The console: its frame, and which screen is shown at which address.

import { html, render, useEffect, useLayoutEffect, useState } from "./vendor/preact.js";
import { command, onPasswordNeeded, onSignedOut, showCustomer, shownCustomer, useRead } from "./api.js";
import { Announcements, Badge, Card, Empty, Icon, announce } from "./ui.js";
import { Switcher, nameOf } from "./switcher.js";
import { onDay } from "./format.js";
import { LoginAgain, PasswordAgain } from "./login_again.js";
import { lazy } from "./lazy.js";

// Each screen's modules are loaded when it is opened first.
const screens = [
  { path: "/console/dashboard", name: "Overview", icon: "overview", screen: lazy(() => import("./overview.js"), "Overview", 9) },
  { path: "/console/keys", name: "API keys", icon: "keys", screen: lazy(() => import("./keys.js"), "Keys") },
  { path: "/console/usage", name: "Usage", icon: "usage", screen: lazy(() => import("./usage.js"), "Usage", 8) },
  { path: "/console/try", name: "Try it", icon: "try", screen: lazy(() => import("./try.js"), "Try") },
  { path: "/console/plan", name: "Plan", icon: "plan", screen: lazy(() => import("./plan.js"), "Plan", 8) },
  { path: "/console/activity", name: "Activity", icon: "activity", screen: lazy(() => import("./activity.js"), "Activity", 8) },
  { path: "/console/people", name: "People", icon: "people", screen: lazy(() => import("./people.js"), "People") },
  { path: "/console/docs", name: "Documentation", icon: "docs", screen: lazy(() => import("./docs.js"), "Docs", 8) },
  { path: "/console/account", name: "Account", icon: "account", screen: lazy(() => import("./account.js"), "Account", 8) },
];

// Screens of one thing each, behind another.
const behind = [
  { begins: "/console/checks/", path: "/console/usage", screen: lazy(() => import("./check.js"), "Check", 9) },
  { begins: "/console/explain/", path: "/console/activity", screen: lazy(() => import("./explain.js"), "Explain", 6) },
  { begins: "/console/replay/", path: "/console/activity", screen: lazy(() => import("./replay.js"), "Replay", 6) },
];

const known = (path) => screens.find((s) => s.path === path) ?? behind.find((s) => path.startsWith(s.begins));
const screenAt = (path) => known(path) ?? screens[0];

function useAddress() {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const moved = () => { document.body.dataset.navigated = "yes"; setPath(location.pathname); scrollTo(0, 0); };
    const clicked = (event) => {
      const link = event.target.closest?.("a[href^='/console/']");
      if (!link || link.hasAttribute("download") || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
      if (!known(link.pathname)) return;
      event.preventDefault();
      if (link.pathname !== location.pathname) { history.pushState(null, "", link.pathname); moved(); }
    };
    addEventListener("popstate", moved);
    document.addEventListener("click", clicked);
    return () => { removeEventListener("popstate", moved); document.removeEventListener("click", clicked); };
  }, []);
  return path;
}

function Frame() {
  const path = useAddress();
  const [open, setOpen] = useState(false);
  const [signedOut, setSignedOut] = useState(null);
  const [passwordNeeded, setPasswordNeeded] = useState(null);
  const [held, hold] = useState(null); // a dialog that outlives its screen
  useEffect(() => {
    onSignedOut(() => new Promise((resolve) => setSignedOut(() => resolve)));
    onPasswordNeeded(() => new Promise((resolve) => setPasswordNeeded(() => resolve)));
  }, []);
  const passwordGiven = (given) => { passwordNeeded(given); setPasswordNeeded(null); };
  useEffect(() => setOpen(false), [path]);
  useLayoutEffect(() => { // before anybody sees it unfolded: a key is lost to an effect of later
    if (!open) return undefined;
    const fold = (event) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      document.querySelector(".menu-button").focus();
    };
    addEventListener("keydown", fold);
    return () => removeEventListener("keydown", fold);
  }, [open]);
  const session = useRead("session");
  const who = session.data;
  const [customer, setCustomer] = useState(shownCustomer());
  const show = (id) => { showCustomer(id); setCustomer(id); session.reload(); };
  useEffect(() => { if (who?.customer && who.customer !== shownCustomer()) { showCustomer(who.customer); setCustomer(who.customer); } }, [who]);
  useEffect(() => { if (session.error?.code === "not_a_member") show(null); }, [session.error]); // removed, or somebody else logged in
  const choose = async (chosen) => {
    show(chosen.id);
    announce("You look at " + nameOf(chosen) + " now");
    await command("customer").catch(() => {}); // only where the next tab begins
  };
  const { screen: Screen } = screenAt(path);
  const nobody = who && !who.customer && path !== "/console/account";
  return html`
    <header class="bar">
      <a class="brand" href="/console/dashboard"><span class="mark" aria-hidden="true" /><span>Liveness <span class="brand-more">Detection API</span></span></a>
      <button class="button button-quiet menu-button" aria-expanded=${String(open)} aria-controls="navigation" onClick=${() => setOpen(!open)}>
        <${Icon} name=${open ? "close" : "menu"} />Menu</button>
    </header>
    <aside class=${"side" + (open ? " is-open" : "")} id="navigation" aria-label="Navigation and login"><div class="side-content">
      <a class="brand side-brand" href="/console/dashboard"><span class="mark" aria-hidden="true" /><span>Liveness Detection API</span></a>
      ${who && who.customers.length > 1 && html`<${Switcher} customers=${who.customers} shown=${who.customer} onChoose=${choose} />`}
      <nav aria-label="Console"><ul>${screens.map((s) => html`<li key=${s.path}><a href=${s.path} aria-current=${s.path === screenAt(path).path ? "page" : undefined}><${Icon} name=${s.icon} />${s.name}</a></li>`)}</ul></nav>
      <div class="who">
        <div class="who-text"><strong>${who ? who.company || `${who.firstName} ${who.lastName}` : "\u00a0"}</strong><span>${who?.email ?? "\u00a0"}</span>${who?.role === "reader" && html`<${Badge}>Reader<//>`}</div>
        <form method="post" action="/console/logout"><button class="button button-quiet button-small" type="submit"><${Icon} name="out" />Log out</button></form>
      </div>
    </div></aside>
    <main id="main" tabindex="-1"><div class="content">
      ${who?.mailProblem && html`<p class="note note-bad">Our newest mail to <strong>${who.email}</strong> did not arrive. ${who.mailProblem} <a href="/console/account">Correct the address</a></p>`}
      ${who?.status === "ended" && html`<p class="note note-bad">This subscription has ended. API calls are refused; your usage stays readable here. ${who.market ? html`<a href=${who.market}>Subscribe again</a>` : "Subscribe again"} on AWS Marketplace to go on.</p>`}
      ${who?.status === "scheduled" && new Date(who.startsAt) <= new Date() && html`<p class="note">AWS has not confirmed your contract yet. API calls are answered once it has; there is nothing more to do.</p>`}
      ${who?.status === "scheduled" && new Date(who.startsAt) > new Date() && html`<p class="note">Your contract starts on ${onDay(who.startsAt)}. Until then API calls are refused. From then on they are answered; there is nothing more to do.</p>`}
      ${who?.status === "ending" && html`<p class="note note-warn">You have unsubscribed on AWS Marketplace. API calls are served until the subscription ends.</p>`}
      ${nobody ? html`<${NoCustomer} />` : (customer || who || session.error) && html`<${Screen} key=${path + (customer ?? "")} session=${who} onSession=${session.reload} onLeft=${() => show(null)} onHold=${hold} />`}
    </div></main>
    <${Announcements} />
    ${held}
    ${passwordNeeded && html`<${PasswordAgain} email=${who?.email} onDone=${passwordGiven} />`}
    ${signedOut && html`<${LoginAgain} email=${who?.email} onDone=${() => { signedOut(); setSignedOut(null); session.reload(); }} />`}`;
}

const NoCustomer = () => html`<${Card}><${Empty} title="Your login belongs to no customer"><p>Ask an owner to invite you, or subscribe on AWS Marketplace. Your login itself is on the <a href="/console/account">account</a> screen.</p><//><//>`;

// Pages before login send on to a customer; from then on this tab shows it.
const wanted = new URLSearchParams(location.search).get("customer");
if (wanted) {
  showCustomer(wanted);
  history.replaceState(null, "", location.pathname);
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${Frame} />`, place);
