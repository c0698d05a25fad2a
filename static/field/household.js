// One household: its trees, what waits for it, and the way to the next tree.

import * as store from "./store.js";
import { canWait } from "./server.js";
import { button, h, link, notice, shortNumber, speciesName, t } from "./dom.js";
import { count, day, fetchHousehold, findHousehold, speciesOf } from "./day.js";
import { counters, reasonOf } from "./today.js";

export const missing = (text) => ({ title: t("not_found"), back: "#/", body: [notice("warn", text)] });

const size = (tree) => (tree.dbh_cm ? ` ${Number(tree.dbh_cm)} cm` : "");

function serverRow(tree) {
  const toCorrect = tree.state === "rejected" || !tree.photos.some(({ state }) => state !== "refused");
  return h("li", {}, h(
    "a", { class: `row${toCorrect ? " bad" : ""}`, href: `#/tree/${tree.number}` },
    h("strong", {}, shortNumber(tree.number), h("small", {}, ` ${speciesName(speciesOf(tree.species))}${size(tree)}`)),
    h("span", {}, toCorrect ? `${tree.state_text} · ${reasonOf(tree)}` : tree.state_text),
  ));
}

/** How far a tree of this phone is: itself and its photo. */
function stateOf(row, rows) {
  const photo = rows.find((one) => one.kind === "photo" && one.tree === row.uuid && one.state !== "done");
  if (["refused", "differs"].includes(row.state)) return row.sentence || t("needs_you");
  if (row.state === "waiting") return t("not_sent_yet");
  return photo ? t("photo_waits") : t("confirmed");
}

function phoneRow(row, rows) {
  const name = row.number ? shortNumber(row.number) : row.label;
  const bad = ["refused", "differs"].includes(row.state);
  const done = row.state === "done";
  return h("li", {}, h(
    "a", { class: `row ${bad ? "bad" : "here"}`, href: done ? `#/tree/${row.number}` : `#/record/${row.uuid}` },
    h("strong", {}, name, done ? h("small", {}, ` ${row.label}`) : ""),
    h("span", {}, stateOf(row, rows)),
  ));
}

/** The household's trees: newest first, those of this phone before those the server told of. */
async function treeList(household) {
  const rows = await store.rows();
  const known = household.public_id ? (await store.get(`trees/${household.public_id}`))?.trees || [] : [];
  const uuids = new Set(known.map((tree) => tree.client_uuid));
  const ours = [household.public_id, household.client_uuid];
  const here = rows
    .filter((row) => row.kind === "tree" && row.officer === day.data.officer.id && !uuids.has(row.uuid))
    .filter((row) => ours.includes(row.body ? row.body.household : row.household))
    .sort((a, b) => b.made_at - a.made_at);
  return [...here.map((row) => phoneRow(row, rows)), ...[...known].reverse().map(serverRow)];
}

// Households whose trees were asked for since the app was opened: once by itself, again by the button.
const tried = new Set();

export async function householdScreen({ params: [reference], render, follow }) {
  const household = await findHousehold(reference);
  if (!household) return missing(t("household_not_here"));
  const trees = await treeList(household);
  const lacks = trees.length < household.trees;
  if (lacks && navigator.onLine && !tried.has(reference)) {
    tried.add(reference);
    fetchHousehold(household.public_id).then(follow, canWait);
  }
  const waitsItself = household.row && household.row.state !== "done";
  const limit = day.data.programme?.max_trees_per_household;
  const load = async (event) => {
    event.target.disabled = true;
    await fetchHousehold(household.public_id).catch(canWait);
    await render();
  };
  return {
    title: household.name,
    back: "#/",
    live: true,
    body: [
      waitsItself && ["refused", "differs"].includes(household.row.state) &&
        notice("bad", household.row.sentence, link(`#/record/${household.row.uuid}`, t("look"))),
      waitsItself && household.row.state === "waiting" && h("p", { class: "hint" }, t("household_waits")),
      link(`#/household/${reference}/tree`, t("next_tree"), "button wide huge"),
      limit && trees.length >= limit && notice("warn", t("over_limit", { n: limit })),
      link(`#/household/${reference}/account`, t("bank_account"), "button quiet wide"),
      counters(count(await store.rows())),
      h("h2", {}, t("n_trees", { n: Math.max(trees.length, household.trees) })),
      lacks && button(t("load_trees"), load, "button quiet wide"),
      h("ul", { class: "list" }, trees),
    ],
  };
}
