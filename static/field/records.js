// Making records for the queue: see sync.js for what they are.

import * as store from "./store.js";
import { APP, t } from "./dom.js";
import { day } from "./day.js";

/** A random UUID (version 4), also where `crypto.randomUUID` is not there yet. */
export function newUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** A record of the signed-in officer. `more` has its body and what it is called in lists. */
export const newRecord = (kind, more) => ({
  uuid: newUuid(), kind, officer: day.data.officer.id, officer_name: day.data.officer.name, state: "waiting",
  after: [], tries: 0, made_at: Date.now(), stamp: newUuid(), sentence: "", code: "", ...more,
});

/** The record with other content, to be sent again. */
export const edited = (row, more) =>
  ({ ...row, state: "waiting", tries: 0, stamp: newUuid(), sentence: "", code: "", record: null, ...more });

/**
 * Takes the file of a photo as it is, since the original is the evidence. Gives {sha256, blob, url}; throws a sentence
 * for the officer when it is no file that the server would take.
 */
export async function readPhoto(file) {
  if (file.size === 0) throw new Error(t("photo_empty"));
  if (file.size > APP.photo_max_bytes) {
    throw new Error(t("photo_too_large", { mb: Math.floor(APP.photo_max_bytes / 1048576) }));
  }
  // Read now: some phones give the camera's file away again once the next one is taken.
  const bytes = await file.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const blob = new Blob([bytes], { type: file.type });
  return { sha256, blob, url: URL.createObjectURL(blob) };
}

/** The record of a photo of a tree, or of an inspection of it; it goes `after` what the server must know first. */
export const photoRecord = (taken, tree, label, after, inspection = null) =>
  newRecord("photo", { tree, inspection, sha256: taken.sha256, size: taken.blob.size, after, label });

/** Saves records with their photos, all or nothing; a full phone is said in a sentence. */
export async function keep(records, taken = []) {
  try {
    await store.save(records, taken.map(({ sha256, blob }) => ({ sha256, blob })));
  } catch (error) {
    throw new Error(error?.name === "QuotaExceededError" ? t("phone_full") : t("not_saved", { why: String(error) }));
  }
  document.dispatchEvent(new CustomEvent("kept"));
}

/** The records that cannot be sent before this one, and those that hang on them. */
export function dependants(uuid, rows) {
  const direct = rows.filter((row) => row.after.includes(uuid) && row.state !== "done");
  return direct.flatMap((row) => [row, ...dependants(row.uuid, rows)]);
}
