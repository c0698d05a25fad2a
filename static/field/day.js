// The day's data on the phone: fetched when there is reception, read by every screen.

import * as store from "./store.js";
import { APP } from "./dom.js";
import { call } from "./server.js";

const STALE_MS = 20 * 3600 * 1000;
export const day = { data: null, village: "" };

/** Reads what the phone has. */
export async function openDay() {
  day.data = (await store.get("day")) || null;
  day.village = (await store.get("village")) || "";
  const codes = day.data ? day.data.villages.map(({ code }) => code) : [];
  if (!codes.includes(day.village)) day.village = codes[0] || "";
  return day.data;
}

/** Fetches the day anew. What another officer kept on this phone goes, except the records they have still to send. */
export async function refreshDay() {
  const data = await call("GET", "/field/day");
  const before = await store.get("day");
  if (before && before.officer.id !== data.officer.id) await store.dropUnder("trees/");
  await store.set("day", { ...data, fetched_at: Date.now(), skew_ms: Date.parse(data.server_time) - Date.now() });
  await openDay();
  await forgetDone();
  return day.data;
}

/** Confirmed records of earlier days are only on the server now. */
async function forgetDone() {
  const old = (await store.rows()).filter((row) => row.state === "done" && !isToday(row.made_at));
  for (const row of old) await store.change(row.uuid, () => null);
}

export async function chooseVillage(code) {
  day.village = code;
  await store.set("village", code);
}

let fetching = null;

/** Fetches the trees of the village's households as far as they changed, so that they are there without reception. */
export function fetchTrees() {
  fetching = fetching || fetchChanged().finally(() => { fetching = null; });
  return fetching;
}

async function fetchChanged() {
  const mine = day.data.households.filter((household) => household.village_code === day.village);
  for (const household of mine) {
    const known = await store.get(`trees/${household.public_id}`);
    const mark = [APP.language, household.trees, household.approved, household.rejected].join("/");
    if (known?.mark === mark && Date.now() - known.fetched_at < STALE_MS) continue;
    await fetchHousehold(household.public_id, mark);
  }
}

export async function fetchHousehold(reference, mark = "") {
  const data = await call("GET", `/field/households/${encodeURIComponent(reference)}/trees`);
  await store.set(`trees/${data.household.public_id}`, { ...data, mark, fetched_at: Date.now() });
  return data;
}

/** The household of a public id or client UUID: as the server knows it, else as it waits on this phone; else null. */
export async function findHousehold(reference) {
  const known = day.data.households.find((one) => one.public_id === reference || one.client_uuid === reference);
  if (known) return { ...known, name: known.masked_name, reference: known.public_id };
  const row = await store.row(reference);
  if (!row || row.kind !== "household") return null;
  const { state, label: name, public_id, village_code } = row;
  return { client_uuid: reference, public_id, village_code, name, reference, state, trees: 0, row };
}

/**
 * A tree of the server by its number or client UUID, as far as the phone has it; else null. What the server answered
 * to a record of this phone may be newer than the lists.
 */
export async function findTree(reference) {
  const lists = (await store.getUnder("trees/")).map(({ trees }) => trees);
  const answers = (await store.rows()).filter((row) => row.stored).map((row) => row.stored);
  return [day.data.attention, ...lists, answers]
    .flat()
    .filter((tree) => tree.number === reference || tree.client_uuid === reference)
    .reduce((newest, tree) => (newest && newest.revision >= tree.revision ? newest : tree), null);
}

export async function fetchTree(reference) {
  return call("GET", `/trees/${encodeURIComponent(reference)}`);
}

/** The day of the registry (China has one time), by the server's clock as far as the phone has heard it. */
export function localDay(ms = Date.now()) {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Shanghai" });
  return parts.format(ms + (day.data?.skew_ms || 0));
}

export const isToday = (ms) => localDay(ms) === localDay();
export const speciesOf = (name) => day.data.species.find((one) => one.scientific_name === name) || { name_zh: name };

/** How many trees of today are registered, wait (with their photos) and are confirmed; and all that waits. */
export function count(rows) {
  const mine = rows.filter((row) => row.officer === day.data.officer.id);
  const open = mine.filter((row) => row.state !== "done");
  const waiting = new Set(open.filter((row) => row.kind === "tree").map((row) => row.uuid));
  for (const row of open) if (row.kind === "photo" && !row.inspection) waiting.add(row.tree);
  const today = mine.filter((row) => row.kind === "tree" && isToday(row.made_at));
  return {
    registered: today.length,
    waiting: mine.filter((row) => row.kind === "tree" && waiting.has(row.uuid)).length,
    confirmed: today.filter((row) => !waiting.has(row.uuid)).length,
    open,
    troubled: open.filter((row) => row.state !== "waiting"),
    others: rows.filter((row) => row.state !== "done" && row.officer !== day.data.officer.id),
  };
}
