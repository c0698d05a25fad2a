// What is known of the sync, wherever on this phone it runs; and the box that shows it.

import { APP, button, clock, h, link, notice, t } from "./dom.js";
import { onProgress, sync } from "./sync.js";

const FIRST_PAUSE_MS = 5000, LONGEST_PAUSE_MS = 300000;

export const status = { state: "idle", sent: 0, total: 0, at: 0, mayBeCleared: false };
let running = null, again = false, wantsFresh = false, pause = FIRST_PAUSE_MS, timer = null;
let afterwards = async () => {};

/** What is done after a sync that ran through. */
export const whenSent = (work) => { afterwards = work; };

const changed = () => document.dispatchEvent(new CustomEvent("status"));

onProgress((news) => {
  Object.assign(status, news, news.state === "sent" ? { at: Date.now() } : {});
  changed();
});

/** Says that nobody is signed in, which a sync is not the only one to learn. */
export function signedOut() {
  status.state = "signed-out";
  changed();
}

/** Sends what waits; when that fails, tries again after a pause that doubles each time. `fresh`: then fetch the day. */
export function send({ fresh = false } = {}) {
  clearTimeout(timer);
  wantsFresh = wantsFresh || fresh === true;
  if (running) {
    again = true;
    return running;
  }
  running = once().finally(() => { running = null; });
  return running;
}

async function once() {
  do {
    again = false;
    const outcome = await sync();
    if (outcome === "sent") {
      pause = FIRST_PAUSE_MS;
      const fresh = wantsFresh;
      wantsFresh = false;
      await afterwards(fresh);
    } else if (outcome !== "signed-out") {
      timer = setTimeout(() => send(), pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  } while (again);
  changed();
}

/** Asks the browser to send in the background when reception returns; without that, opening the app does it. */
export async function askForSync() {
  const registration = await navigator.serviceWorker?.getRegistration("/field/");
  try {
    await registration?.sync?.register("field");
  } catch {
    // The browser has it but the user or the phone's saving mode forbids it.
  }
}

function sentence(open) {
  const { state, sent, total, at } = status;
  if (state === "sending") return total ? t("sending", { n: sent + 1, of: total }) : t("asking");
  if (state === "unreachable" || !navigator.onLine) return open ? t("no_reception") : t("no_reception_nothing");
  if (state === "troubled") return t("server_trouble");
  if (open) return t("n_records_wait", { n: open });
  return at ? t("all_sent_at", { time: clock(at) }) : t("all_sent");
}

/** How the sync is, and the button. */
export function syncBox(counts, isList = false) {
  const open = counts.open.length;
  const box = h("div", { class: `sync ${status.state}`, id: "sync", "data-state": status.state });
  if (status.state === "signed-out") {
    box.append(notice(
      "bad", open ? t("signed_out_with", { n: open }) : t("signed_out"),
      h("a", { class: "button", href: APP.sign_in }, t("sign_in")),
    ));
    return box;
  }
  box.append(
    h("p", {}, sentence(open)),
    status.state === "sending" && status.total
      ? h("progress", { max: status.total, value: status.sent }) : "",
    h("div", { class: "pair" },
      button(t("send_now"), () => send({ fresh: true }), open ? "button" : "button quiet", { disabled: status.state === "sending" }),
      open && !isList ? link("#/waiting", t("what_waits"), "button quiet") : ""),
  );
  return box;
}
