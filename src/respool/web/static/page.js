// Keeps the page as the server would make it now. The server tells that something changed (/events); then the same address
// is fetched again, and each [data-live] part that differs is put in the place of the old one. Focus, open details, a
// selection and the scroll position stay. Without this script the page is the same, and is reloaded by hand.
"use strict";

const PAUSE = 400; // ms between two fetches
const MOVING = 3000; // ms after which times are brought up to date while something runs
const TYPING = 250; // ms of quiet after which a filter is applied

const link = document.getElementById("link");
let fetching = false, again = false, due = null;

function say(text) {
  if (link && link.textContent !== text) link.textContent = text;
}

function soon() {
  if (document.hidden || due !== null) { again = document.hidden || again; return; }
  due = setTimeout(() => { due = null; refresh(); }, PAUSE);
}

async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true; again = false;
  const address = location.href;
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (answer.status === 401) { say("signed out: open the address that respool serve printed"); stream.close(); return; }
    if (answer.ok && address === location.href) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    say("the server does not answer");
  } finally {
    fetching = false;
    if (again) soon();
  }
}

function put(made) {
  document.title = made.title;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = made.getElementById(part.id);
    if (fresh) replace(part, fresh);
  }
}

function replace(part, fresh) {
  const selection = getSelection();
  if (!selection.isCollapsed && selection.containsNode(part, true)) return;
  for (const details of part.querySelectorAll("details[id][open]")) {
    const twin = fresh.querySelector("#" + CSS.escape(details.id));
    if (twin) twin.open = true;
  }
  part.toggleAttribute("data-moving", fresh.hasAttribute("data-moving"));
  if (part.innerHTML === fresh.innerHTML) return;
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  part.replaceChildren(...fresh.childNodes);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

const stream = new EventSource("/events?brief=true");
stream.addEventListener("open", () => { say("live"); soon(); });
stream.addEventListener("changed", soon);
stream.addEventListener("reset", soon);
stream.addEventListener("error", () => { say("connecting again …"); soon(); });

setInterval(() => { if (document.querySelector("[data-moving]")) soon(); }, MOVING);
document.addEventListener("visibilitychange", () => { if (!document.hidden && again) soon(); });

for (const form of document.querySelectorAll("form[data-filter]")) {
  let typed = null;
  const apply = () => {
    const words = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    history.replaceState(null, "", form.getAttribute("action") + (words.size ? "?" + words : "") + location.hash);
    refresh();
  };
  form.addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(apply, TYPING); });
}
