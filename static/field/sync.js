// Sends what waits on the phone: by pages and by the service worker, one at a time. Sending twice does no harm: the
// server knows each record by its UUID and each photo by its SHA-256.
//
// A record (row of the queue): uuid, kind, officer, state, after (UUIDs that must be confirmed first), body, stamp
// (changes with each edit). States: waiting → done, refused (the server's sentence), differs (the server has another
// version, in `record`); the officer sends refused and differing ones back to waiting.

import * as store from "./store.js";
import { Refusal, SignedOut, Troubled, Unreachable, call, session } from "./server.js";

const PART_BYTES = 256 * 1024;
const TROUBLES = 3;
const RANKS = { household: 0, account: 1, tree: 2, photo: 3, correction: 4, inspection: 5 };
// An inspection's photo can only come after it.
const rank = (row) => (row.inspection ? 6 : RANKS[row.kind]);

const SEND = {
  household: (row) => call("POST", "/households", { client_uuid: row.uuid, ...row.body }),
  account: (row) => call("POST", "/bank-accounts", { client_uuid: row.uuid, ...row.body }),
  tree: (row) => call("POST", "/trees", { client_uuid: row.uuid, ...row.body }),
  correction: (row) => call("PUT", `/trees/${row.tree}`, row.body),
  inspection: (row) => call("POST", "/inspections", { client_uuid: row.uuid, ...row.body }),
  photo: sendPhoto,
};

const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("field");
const listeners = [];
if (channel) channel.onmessage = ({ data }) => listeners.forEach((listen) => listen(data));

/** Calls `listen({state, sent, total})` whenever a sync here or elsewhere on this phone moves on. */
export const onProgress = (listen) => listeners.push(listen);

/** Who was signed in when last asked; null before. */
export const seen = { officer: null };

function say(state, sent = 0, total = 0) {
  const news = { state, sent, total };
  listeners.forEach((listen) => listen(news));
  if (channel) channel.postMessage(news);
}

async function sendPhoto(row) {
  const blob = await store.photo(row.sha256);
  if (!blob) throw new Refusal(410, { code: "photo_lost" });
  const tree = encodeURIComponent(row.tree);
  let answer = await call("POST", "/uploads", {
    tree: row.tree, inspection: row.inspection, sha256: row.sha256, size: blob.size,
  });
  for (let slips = 0; !answer.photo;) {
    const part = blob.slice(answer.offset, answer.offset + PART_BYTES);
    try {
      answer = await call("PUT", `/uploads/${row.sha256}?tree=${tree}&offset=${answer.offset}`, part);
    } catch (error) {
      // Another tab was faster, or the line damaged the bytes: go on from where the server is, but not for ever.
      const again = error instanceof Refusal && ["wrong_offset", "damaged"].includes(error.code);
      if (!again || (slips += 1) > 3) throw error;
      answer = { offset: error.data.offset || 0, photo: null };
    }
  }
  // Only the server's word on this very hash lets the original go.
  if (answer.photo.sha256 !== row.sha256) throw new Troubled();
  return answer.photo;
}

/** What is left of a confirmed record: no personal data, only what the lists and counters show. */
function confirmed(row, answer) {
  const { body, record, sentence, code, ...rest } = row;
  const number = answer.number || row.number;
  const label = row.kind === "household" ? answer.masked_name : row.kind === "account" ? "" : row.label;
  return {
    ...rest, state: "done", done_at: Date.now(), label, number, public_id: answer.public_id,
    household: body?.household || row.household,
    stored: answer.revision ? answer : undefined,
  };
}

function refused(row, error) {
  const differs = error.status === 409 && error.data.record;
  return {
    ...row, state: differs ? "differs" : "refused", record: error.data.record || null,
    sentence: error.message, code: error.code,
  };
}

/** Changes the record unless it was edited, removed or confirmed by another tab meanwhile. */
const settle = (row, outcome) =>
  store.change(row.uuid, (now) => (now.state === "waiting" && now.stamp === row.stamp ? outcome(now) : undefined));

async function deliver(row) {
  const now = await store.row(row.uuid);
  if (!now || now.state !== "waiting" || now.stamp !== row.stamp) return;
  let outcome = null;
  try {
    const answer = await SEND[row.kind](row);
    outcome = (same) => confirmed(same, answer);
  } catch (error) {
    if (error instanceof Troubled) await settle(row, (same) => ({ ...same, tries: (same.tries || 0) + 1 }));
    if (!(error instanceof Refusal)) throw error;
    outcome = (same) => refused(same, error);
  }
  await settle(row, outcome);
}

/**
 * The officer's records that can go now, in the order in which they should: those over which the server stumbled come
 * last, or a few of them would keep all others waiting.
 */
function ready(rows, officer, tried) {
  const open = new Set(rows.filter((row) => row.state !== "done").map((row) => row.uuid));
  return rows
    .filter((row) => row.officer === officer && row.state === "waiting" && !tried.has(row.stamp))
    .filter((row) => !row.after.some((uuid) => open.has(uuid)))
    .sort((a, b) => (a.tries || 0) - (b.tries || 0) || rank(a) - rank(b) || a.made_at - b.made_at);
}

async function run() {
  say("sending");
  const { officer } = await session();
  seen.officer = officer.id;
  const tried = new Set();
  let sent = 0, stumbled = false, troubles = 0;
  for (;;) {
    const list = ready(await store.rows(), officer.id, tried);
    if (list.length === 0) break;
    // Those of one rank, then look again: what depended on them may go now.
    const [first] = list;
    for (const row of list.filter((one) => rank(one) === rank(first) && one.tries === first.tries)) {
      tried.add(row.stamp);
      say("sending", sent, sent + list.length);
      try {
        await deliver(row);
        sent += 1;
        troubles = 0;
      } catch (error) {
        // One record over which the server stumbles must not stop the others.
        if (!(error instanceof Troubled) || (troubles += 1) >= TROUBLES) throw error;
        stumbled = true;
      }
    }
  }
  if (stumbled) throw new Troubled();
}

/**
 * Sends all that can be sent. Resolves with "sent", "unreachable", "troubled" or "signed-out"; nothing is lost in any
 * of them. Whoever comes while another tab sends waits, and then finds little left to do.
 */
export async function sync() {
  const locks = typeof navigator === "undefined" ? null : navigator.locks;
  const work = async () => {
    try {
      await run();
      return "sent";
    } catch (error) {
      if (error instanceof SignedOut) return "signed-out";
      if (error instanceof Unreachable) return "unreachable";
      if (error instanceof Troubled) return "troubled";
      throw error;
    }
  };
  const outcome = locks ? await locks.request("field-sync", work) : await work();
  say(outcome);
  return outcome;
}
