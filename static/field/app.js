// The field app: which screen is shown, when it is fetched and sent, and the notices above all screens.

import * as store from "./store.js";
import { APP, button, h, notice, t } from "./dom.js";
import { day, fetchTrees, openDay, refreshDay } from "./day.js";
import { SignedOut, canWait, csrf, session } from "./server.js";
import { seen } from "./sync.js";
import { askForSync, send, signedOut, status, whenSent } from "./status.js";
import { attentionScreen, today } from "./today.js";
import { householdScreen } from "./household.js";
import { accountScreen, registrationScreen } from "./registration.js";
import { correctScreen, treeScreen } from "./treeform.js";
import { inspectScreen, scanScreen, treeDetail } from "./tree.js";
import { recordScreen, waitingScreen } from "./waiting.js";

const FRESH_MS = 120000;
const LITTLE_SPACE = 300 * 1024 * 1024;
const ROUTES = [
  [/^#\/$/, today],
  [/^#\/attention$/, attentionScreen],
  [/^#\/waiting$/, waitingScreen],
  [/^#\/scan$/, scanScreen],
  [/^#\/record\/([^/]+)$/, recordScreen],
  [/^#\/new-household\/([1-4])$/, registrationScreen],
  [/^#\/household\/([^/]+)$/, householdScreen],
  [/^#\/household\/([^/]+)\/tree$/, treeScreen],
  [/^#\/household\/([^/]+)\/account$/, accountScreen],
  [/^#\/tree\/([^/]+)$/, treeDetail],
  [/^#\/tree\/([^/]+)\/correct$/, correctScreen],
  [/^#\/tree\/([^/]+)\/inspect\/(alive|damaged|dead|felled)$/, inspectScreen],
];

const main = document.getElementById("screen");
const notices = document.getElementById("notices");
const title = document.getElementById("title");
const back = document.getElementById("back");
let shown = null, drawing = 0;

/** Shows the screen of the address. A screen that was overtaken by the next one is not shown any more. */
async function render() {
  const hash = location.hash || "#/";
  const [pattern, screen] = ROUTES.find(([route]) => route.test(hash)) || ROUTES[0];
  const turn = (drawing += 1);
  const next = await screen({ params: (pattern.exec(hash) || []).slice(1).map(decodeURIComponent), render, follow });
  if (turn !== drawing) {
    next.leave?.();
    return;
  }
  shown?.leave?.();
  const stays = shown?.hash === hash;
  shown = { ...next, hash };
  main.dataset.screen = hash;
  title.textContent = next.title;
  document.title = `${next.title} · ${t("app_name")}`;
  back.hidden = !next.back;
  back.href = next.back || "#/";
  main.replaceChildren(...next.body.filter((part) => part !== null && part !== undefined && part !== false));
  if (!stays) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
}

/** Screens that only show things follow what changes; forms are left alone. */
async function follow() {
  if (shown?.live) await render();
}

function tell(name, ...content) {
  document.getElementById(`notice-${name}`)?.remove();
  if (content.length === 0) return;
  const box = notice(...content);
  box.id = `notice-${name}`;
  notices.append(box);
}

async function fetchDay() {
  const isNew = day.data === null;
  await refreshDay();
  showOfficer();
  if (isNew) await begin();
  await follow();
  // What was saved meanwhile need not wait for these to be sent.
  fetchTrees().then(follow, canWait);
}

/** After each sync that ran through: the day as the server has it now, unless it was fetched a moment ago. */
whenSent(async (fresh) => {
  const isOther = day.data?.officer.id !== seen.officer;
  if (!fresh && !isOther && Date.now() - day.data.fetched_at < FRESH_MS) return;
  try {
    await fetchDay();
  } catch (error) {
    // Without an answer the phone goes on with what it has.
    canWait(error);
    if (error instanceof SignedOut) signedOut();
  }
});

/** Asks the browser never to clear the phone's copy, and says when there is little room for photos. */
async function checkSpace() {
  if (!navigator.storage?.estimate) return;
  const persisted = (await navigator.storage.persist?.()) ?? true;
  const { quota, usage } = await navigator.storage.estimate();
  if (quota - usage < LITTLE_SPACE) tell("space", "warn", t("little_space", { mb: Math.floor((quota - usage) / 1048576) }));
  status.mayBeCleared = !persisted && !matchMedia("(display-mode: standalone)").matches;
  await follow();
}

function offerUpdate(registration) {
  const offer = () => {
    if (!registration.waiting || !navigator.serviceWorker.controller) return;
    const load = () => registration.waiting?.postMessage("take over");
    tell("update", "good", button(t("new_version"), load, "button wide"));
  };
  offer();
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer);
  });
}

/** Browsers whose workers cannot be modules get one without the sync in the background. */
function register(language) {
  const address = `${APP.worker}?language=${language}`;
  const options = { scope: "/field/", updateViaCache: "none" };
  return navigator.serviceWorker
    .register(`${address}&module=1`, { ...options, type: "module" })
    .catch(() => navigator.serviceWorker.register(address, options));
}

async function startWorker() {
  if (!("serviceWorker" in navigator)) {
    tell("worker", "warn", t("no_worker"));
    return;
  }
  let had = Boolean(navigator.serviceWorker.controller);
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (had) location.reload();
    had = true;
  });
  const registration = await register(APP.language);
  offerUpdate(registration);
  document.addEventListener("visibilitychange", () => !document.hidden && registration.update().catch(() => {}));
}

/** The app in another language is another version of it: loads that and changes over. */
async function switchLanguage(language) {
  await session().catch(canWait);
  const body = new URLSearchParams({ language, next: "/field/" });
  await fetch(APP.set_language, { method: "POST", body, headers: { "X-CSRFToken": csrf() }, redirect: "manual" });
  if (!navigator.serviceWorker?.controller) {
    location.reload();
    return;
  }
  const { installing, waiting } = await register(language);
  waiting?.postMessage("take over");
  installing?.addEventListener("statechange", () => installing.state === "installed" && installing.postMessage("take over"));
}

const showOfficer = () => { document.getElementById("officer").textContent = day.data.officer.name; };

/** The first screen needs the day's data once; from then on the phone has them. */
async function begin() {
  showOfficer();
  addEventListener("hashchange", render);
  await render();
}

async function start() {
  const language = document.getElementById("language");
  language.addEventListener("click", () => switchLanguage(language.value).catch(() => tell("language", "warn", t("language_needs_net"))));
  try {
    await store.check();
  } catch {
    main.replaceChildren(notice("bad", t("no_store")));
    return;
  }
  document.addEventListener("kept", () => {
    askForSync();
    if (navigator.onLine) send();
    follow();
  });
  document.addEventListener("status", follow);
  addEventListener("online", () => send());
  addEventListener("offline", follow);
  document.addEventListener("visibilitychange", () => !document.hidden && navigator.onLine && send());
  if (await openDay()) await begin();
  else main.replaceChildren(h("p", { class: "hint" }, t("first_time")));
  startWorker().catch(() => {});
  checkSpace();
  await send({ fresh: true });
  if (!day.data) {
    const text = status.state === "signed-out" ? t("signed_out") : t("first_needs_net");
    main.replaceChildren(notice("bad", text, h("a", { class: "button", href: APP.sign_in }, t("sign_in")),
      button(t("try_again"), () => location.reload(), "button quiet")));
  }
}

start();
