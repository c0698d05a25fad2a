// The first screen: how far the day is, what to correct, and the village's households.

import * as store from "./store.js";
import { canWait } from "./server.js";
import { h, link, notice, select, shortNumber, speciesName, t } from "./dom.js";
import { chooseVillage, count, day, fetchTrees, speciesOf } from "./day.js";
import { status, syncBox } from "./status.js";

const ATTENTION_SHOWN = 3;
const FILTER_FROM = 10;

const counter = (name, value, kind) =>
  h("div", { class: `count ${kind}`, "data-count": kind }, h("strong", {}, String(value)), h("span", {}, name));

export function counters(counts) {
  return h(
    "div", { class: "counts" },
    counter(t("registered_today"), counts.registered, "registered"),
    counter(t("waiting"), counts.waiting, "waiting"),
    counter(t("confirmed_today"), counts.confirmed, "confirmed"),
  );
}

/** Why a tree is to be corrected, in the reviewer's words or the photo's. */
export function reasonOf(tree) {
  if (tree.state === "rejected" && tree.review) {
    return [tree.review.reason_text, tree.review.note].filter(Boolean).join(" · ");
  }
  const refused = tree.photos.filter((photo) => photo.refusal).map((photo) => photo.refusal);
  return refused.length ? refused[refused.length - 1] : t("no_photo_yet");
}

export const attentionRow = (tree) =>
  h("li", {}, h(
    "a", { class: "row bad", href: `#/tree/${tree.number}` },
    h("strong", {}, `${speciesName(speciesOf(tree.species))} ${shortNumber(tree.number)}`),
    h("span", {}, reasonOf(tree)),
  ));

/** Whether the server did not have this record yet when the day was fetched. */
const isNews = (row) => row.state !== "done" || row.done_at > day.data.fetched_at;

/** Trees to correct, without those whose correction waits on this phone already or has just been sent. */
export function toCorrect(rows) {
  const news = rows.filter((row) => isNews(row) && ["correction", "photo"].includes(row.kind));
  const underWay = new Set(news.filter((row) => !["refused", "differs"].includes(row.state)).map((row) => row.tree));
  return day.data.attention.filter((tree) => !underWay.has(tree.number) && !underWay.has(tree.client_uuid));
}

function attention(rows) {
  const trees = toCorrect(rows);
  if (trees.length === 0) return null;
  return h(
    "section", {},
    h("h2", {}, t("to_correct", { n: trees.length })),
    h("ul", { class: "list" }, trees.slice(0, ATTENTION_SHOWN).map(attentionRow)),
    trees.length > ATTENTION_SHOWN && link("#/attention", t("all_to_correct"), "button quiet wide"),
  );
}

function villageSwitch(render, follow) {
  const villages = day.data.villages;
  if (villages.length === 1) return h("p", { class: "village" }, villages[0].name);
  const options = villages.map(({ code, name, path }) => [code, [name, ...path.split(" ").slice(-1)].join(" · ")]);
  const choose = async (event) => {
    await chooseVillage(event.target.value);
    await render();
    if (navigator.onLine) fetchTrees().then(follow, canWait);
  };
  return h("label", { class: "village" }, h("span", { class: "hint" }, t("village")),
    select(options, day.village, { onchange: choose, name: "village" }));
}

/** The village's households: those of the server, and those that wait on this phone. */
function households(rows) {
  const known = day.data.households.filter((one) => one.village_code === day.village);
  const uuids = new Set(known.map((one) => one.client_uuid));
  const here = rows
    .filter((row) => row.kind === "household" && row.officer === day.data.officer.id && !uuids.has(row.uuid))
    .filter((row) => row.village_code === day.village)
    .map((row) => ({ ...row, reference: row.uuid, name: row.label, trees: 0, rejected: 0 }));
  const there = known.map((one) => ({ ...one, reference: one.public_id, name: one.masked_name, uuid: one.client_uuid }));
  return [...here, ...there].map((one) => ({ ...one, ...added(one, rows) }));
}

/** How many trees this phone adds to those the server told of, and how many of them still wait. */
function added({ public_id, uuid }, rows) {
  const ours = (row) => [public_id, uuid].includes(row.body ? row.body.household : row.household);
  const trees = rows.filter((row) => row.kind === "tree" && isNews(row) && ours(row));
  return { added: trees.length, waiting: trees.filter((row) => row.state !== "done").length };
}

function householdRow(one) {
  const ordinal = one.ordinal ? String(one.ordinal).padStart(3, "0") : "";
  return h("li", { "data-name": `${one.name} ${ordinal}` }, h(
    "a", { class: `row${one.state && one.state !== "done" ? ` ${one.state}` : ""}`, href: `#/household/${one.reference}` },
    h("strong", {}, one.name, ordinal && h("small", {}, ` ${ordinal}`)),
    h(
      "span", {}, t("n_trees", { n: one.trees + one.added }),
      one.waiting > 0 && ` · ${t("n_waiting", { n: one.waiting })}`,
      one.rejected > 0 && h("b", { class: "bad" }, ` · ${t("n_rejected", { n: one.rejected })}`),
      one.state === "waiting" && ` · ${t("not_sent_yet")}`,
      ["refused", "differs"].includes(one.state) && h("b", { class: "bad" }, ` · ${t("needs_you")}`),
    ),
  ));
}

function householdList(rows) {
  const list = h("ul", { class: "list", id: "households" }, households(rows).map(householdRow));
  const filter = ({ target }) => {
    for (const item of list.children) item.hidden = !item.dataset.name.includes(target.value.trim());
  };
  return [
    list.children.length > FILTER_FROM &&
      h("input", { type: "search", placeholder: t("find_household"), "aria-label": t("find_household"), oninput: filter }),
    list.children.length ? list : h("p", { class: "hint" }, t("no_household_yet")),
  ];
}

export async function today({ render, follow }) {
  const rows = await store.rows();
  const counts = count(rows);
  const draft = await store.get(`draft/${day.data.officer.id}`);
  return {
    title: t("today"),
    live: true,
    body: [
      villageSwitch(render, follow),
      counters(counts),
      syncBox(counts),
      counts.troubled.length > 0 &&
        notice("bad", t("n_need_you", { n: counts.troubled.length }), link("#/waiting", t("look"), "button")),
      counts.others.length > 0 &&
        notice("warn", t("others_records", { n: counts.others.length, name: counts.others[0].officer_name })),
      attention(rows),
      h(
        "section", {},
        h("h2", {}, t("households")),
        draft && link(`#/new-household/${draft.step}`, t("go_on_with", { name: draft.head_name || "…" }), "button wide"),
        link("#/new-household/1", t("new_household"), `button wide${draft ? " quiet" : ""}`),
        householdList(rows),
      ),
      link("#/scan", t("scan_tag"), "button quiet wide"),
      status.mayBeCleared && h("p", { class: "hint" }, t("not_persistent")),
    ],
  };
}

export async function attentionScreen() {
  const trees = toCorrect(await store.rows());
  return {
    title: t("to_correct", { n: trees.length }),
    back: "#/",
    live: true,
    body: [trees.length ? h("ul", { class: "list" }, trees.map(attentionRow)) : h("p", {}, t("nothing_to_correct"))],
  };
}

