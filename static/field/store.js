// What the phone keeps, in IndexedDB: the day's data ("kept"), the records that wait to be sent ("queue"), and the
// photos as they were taken ("photos", by SHA-256). Used by the pages and by the service worker.

let opened = null;

const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

function open() {
  if (opened === null) {
    const request = indexedDB.open("field", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("kept");
      request.result.createObjectStore("queue", { keyPath: "uuid" });
      request.result.createObjectStore("photos");
    };
    opened = answer(request).then((db) => {
      // Another tab with a newer version of the app wants to change the stores: let it.
      db.onversionchange = () => {
        db.close();
        opened = null;
      };
      return db;
    });
    opened.catch(() => { opened = null; });
  }
  return opened;
}

/** Runs `work(stores…)` in one transaction; resolves with its result when all of it is on the disk. */
async function within(names, mode, work) {
  const db = await open();
  const transaction = db.transaction(names, mode, { durability: mode === "readwrite" ? "strict" : "default" });
  const finished = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error || new DOMException("", "AbortError"));
  });
  const result = work(...names.map((name) => transaction.objectStore(name)));
  const [value] = await Promise.all([result, finished]);
  return value;
}

export const check = () => open();

// The day's data.
export const get = (key) => within(["kept"], "readonly", (kept) => answer(kept.get(key)));
export const set = (key, value) => within(["kept"], "readwrite", (kept) => answer(kept.put(value, key)));
export const drop = (key) => within(["kept"], "readwrite", (kept) => answer(kept.delete(key)));
const under = (prefix) => IDBKeyRange.bound(prefix, `${prefix}\uffff`);
export const getUnder = (prefix) => within(["kept"], "readonly", (kept) => answer(kept.getAll(under(prefix))));
export const dropUnder = (prefix) => within(["kept"], "readwrite", (kept) => answer(kept.delete(under(prefix))));

// The queue.
export const rows = () => within(["queue"], "readonly", (queue) => answer(queue.getAll()));
export const row = (uuid) => within(["queue"], "readonly", (queue) => answer(queue.get(uuid)));
export const photo = (sha256) => within(["photos"], "readonly", (photos) => answer(photos.get(sha256)));

/** Puts records and photos ({sha256, blob}) into the queue: all or nothing. */
export function save(records, taken = []) {
  return within(["queue", "photos"], "readwrite", (queue, photos) => {
    taken.forEach(({ sha256, blob }) => photos.put(blob, sha256));
    records.forEach((record) => queue.put(record));
  });
}

/**
 * Changes one record: `changed(record)` gives the new one, null to remove it, undefined to leave it as it is. A photo
 * goes when no record is left that still has to send it.
 */
export function change(uuid, changed) {
  return within(["queue", "photos"], "readwrite", async (queue, photos) => {
    const now = await answer(queue.get(uuid));
    const next = now && changed(now);
    if (next) queue.put(next);
    else if (next === null) queue.delete(uuid);
    if (!now?.sha256 || next === undefined) return;
    const others = await answer(queue.getAll());
    if (!others.some((one) => one.sha256 === now.sha256 && one.state !== "done")) photos.delete(now.sha256);
  });
}
