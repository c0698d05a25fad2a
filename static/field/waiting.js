// What waits on this phone; what the server refused, to be changed; and what it has otherwise, to be compared.

import * as store from "./store.js";
import { button, h, label, link, notice, shortNumber, speciesName, t } from "./dom.js";
import { count, day, speciesOf } from "./day.js";
import { dependants, edited, keep, newUuid, photoRecord } from "./records.js";
import { changeAccount, changeHousehold } from "./registration.js";
import { changeTree } from "./treeform.js";
import { photoPart } from "./parts.js";
import { syncBox } from "./status.js";
import { missing } from "./household.js";

const KIND = {
  household: "kind_household", account: "kind_account", tree: "kind_tree", photo: "kind_photo",
  correction: "kind_correction", inspection: "kind_inspection",
};
const CORRECTABLE = ["tree", "correction"];
const MAY_GO_AGAIN = ["account", "inspection"];

const nameOf = (row) => [t(KIND[row.kind]), row.label, row.number && shortNumber(row.number)].filter(Boolean).join(" · ");

const sentenceOf = (row) => (row.code === "photo_lost" ? t("photo_lost") : row.sentence);

function line(row, rows) {
  const held = row.after.some((uuid) => rows.some((one) => one.uuid === uuid && ["refused", "differs"].includes(one.state)));
  const text = { refused: sentenceOf(row), differs: t("differs_short") }[row.state] || t(held ? "waits_for_other" : "not_sent_yet");
  return h("li", {}, h(
    "a", { class: `row ${row.state === "waiting" ? "here" : "bad"}`, href: `#/record/${row.uuid}`, "data-state": row.state },
    h("strong", {}, nameOf(row)), h("span", {}, text),
  ));
}

export async function waitingScreen() {
  const rows = await store.rows();
  const { open, troubled, others } = count(rows);
  const quiet = open.filter((row) => row.state === "waiting").sort((a, b) => a.made_at - b.made_at);
  const names = [...new Set(others.map((row) => row.officer_name))].join(", ");
  return {
    title: t("what_waits"),
    back: "#/",
    live: true,
    body: [
      syncBox({ open }, true),
      h("ul", { class: "list" }, troubled.map((row) => line(row, rows)), quiet.map((row) => line(row, rows))),
      others.length > 0 && notice("warn", t("others_records", { n: others.length, name: names })),
    ],
  };
}

/** A body's fields in words, for the two columns. */
function described(kind, body) {
  if (kind === "household") {
    return [[t("head_name"), body.masked_name || body.head_name], [t("phone"), body.masked_phone || body.phone], [t("village"), body.village_code]];
  }
  if (kind === "account") return [[t("bank_name"), body.bank_name], [t("account_number"), body.masked_number || body.number]];
  const size = [t("dbh"), body.dbh_cm === null ? "–" : `${Number(body.dbh_cm)} cm`];
  const place = [t("position"), body.lat === null || body.lat === undefined ? t("no_position")
    : `${Number(body.lat).toFixed(6)}, ${Number(body.lon).toFixed(6)} (± ${body.accuracy_m ?? "?"} m)`];
  if (kind === "inspection") {
    return [[t("state"), label("condition", body.condition)], [t("cause"), body.cause ? label("cause", body.cause) : "–"], size, place, [t("measured_on"), body.inspected_on], [t("note"), body.note || "–"]];
  }
  return [
    [t("species"), speciesName(speciesOf(body.species))], size,
    [t("planted_year"), body.planted_year === null ? "–" : String(body.planted_year)], place, [t("measured_on"), body.measured_on],
  ];
}

/** Mine beside the server's; lines that differ stand out. */
function comparison(row) {
  const mine = described(row.kind, row.body), theirs = new Map(described(row.kind, row.record));
  const lines = mine.map(([name, value]) => {
    const other = theirs.get(name) ?? "–";
    return h("tr", { class: String(value) === String(other) ? "" : "differs" }, h("th", { scope: "row" }, name), h("td", {}, String(value)), h("td", {}, String(other)));
  });
  return h("table", { class: "compare" }, h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, t("on_phone")), h("th", { scope: "col" }, t("on_server")))), h("tbody", {}, lines));
}

const leave = () => { location.hash = "#/waiting"; };

/** The server's version holds; what hangs on the record can go on. */
async function keepServers(row) {
  const { body, record, sentence, code, ...rest } = row;
  const household = body.household || "";
  await keep([{ ...rest, state: "done", number: record.number || row.number, public_id: record.public_id, household, label: record.masked_name || row.label }]);
  leave();
}

/** Mine goes on as a correction of what the server has; accounts and inspections go as new ones. */
async function sendMine(row) {
  if (MAY_GO_AGAIN.includes(row.kind)) {
    const again = edited(row, { uuid: newUuid() });
    const hanging = (await store.rows()).filter((one) => one.after.includes(row.uuid));
    const moved = hanging.map((one) => ({ ...one, after: [again.uuid], inspection: one.inspection && again.uuid }));
    await keep([again, ...moved]);
    await store.change(row.uuid, () => null);
  } else {
    const { household, client_uuid, ...body } = row.body;
    const number = row.record.number;
    const corrected = edited(row, { kind: "correction", tree: number, number, body: { ...body, revision: row.record.revision } });
    await keep([{ ...corrected, household }]);
  }
  leave();
}

function differs(row) {
  const mine = t(MAY_GO_AGAIN.includes(row.kind) ? "send_mine_anew" : "send_mine");
  const canSend = CORRECTABLE.includes(row.kind) || MAY_GO_AGAIN.includes(row.kind);
  return [
    notice("bad", row.sentence),
    comparison(row),
    button(t("keep_servers"), () => keepServers(row), "button wide huge", { id: "keep-servers" }),
    canSend ? button(mine, () => sendMine(row), "button quiet wide", { id: "send-mine" }) : h("p", { class: "hint" }, t("ask_county")),
  ];
}

/** What hangs on a household that the server knows already goes to that household instead. */
function moveElsewhere(row, hanging) {
  const there = day.data.households.filter((one) => one.village_code === row.village_code);
  if (row.kind !== "household" || row.code !== "household_exists" || hanging.length === 0 || there.length === 0) return null;
  const move = (household) => async () => {
    const direct = hanging.filter((one) => one.after.includes(row.uuid));
    const moved = direct.map((one) => edited(one, {
      after: one.after.filter((uuid) => uuid !== row.uuid), body: { ...one.body, household: household.public_id },
    }));
    await keep(moved);
    await store.change(row.uuid, () => null);
    location.hash = `#/household/${household.public_id}`;
  };
  return h("section", {}, h("h2", {}, t("move_to", { n: hanging.length })), h("ul", { class: "list" }, there.map((one) =>
    h("li", {}, button(`${one.masked_name} ${String(one.ordinal).padStart(3, "0")}`, move(one), "row")))));
}

/** Removing needs two taps, and says what goes with it. */
function removal(row, hanging) {
  const sure = button(t("remove_sure", { n: hanging.length + 1 }), async () => {
    for (const one of [...hanging, row]) await store.change(one.uuid, () => null);
    document.dispatchEvent(new CustomEvent("kept"));
    leave();
  }, "button danger wide", { hidden: true });
  const first = button(t("remove"), () => {
    sure.hidden = false;
    first.hidden = true;
  }, "button plain wide");
  return [first, sure];
}

function retakePhoto(row) {
  const photo = photoPart({
    onchange: async () => {
      if (!photo.taken) return;
      await keep([photoRecord(photo.taken, row.tree, row.label, row.after, row.inspection)], [photo.taken]);
      await store.change(row.uuid, () => null);
      leave();
    },
  });
  return { body: [photo.element], leave: photo.leave };
}

async function form(row) {
  if (row.kind === "household") return { body: changeHousehold(row) };
  if (row.kind === "account") return { body: await changeAccount(row) };
  if (CORRECTABLE.includes(row.kind)) return changeTree(row);
  if (row.kind === "photo") return retakePhoto(row);
  const again = async () => {
    await keep([edited(row, {})]);
    leave();
  };
  return { body: [button(t("send_again"), again, "button wide")] };
}

/** One record of the queue. */
export async function recordScreen({ params: [uuid] }) {
  const row = await store.row(uuid);
  if (!row || row.state === "done" || row.officer !== day.data.officer.id) return missing(t("record_gone"));
  const hanging = dependants(uuid, await store.rows());
  if (row.state === "differs") return { title: t("two_versions"), back: "#/waiting", body: [...differs(row), ...removal(row, hanging)] };
  const changing = await form(row);
  return {
    title: nameOf(row),
    back: "#/waiting",
    body: [
      row.state === "refused" && notice("bad", h("strong", {}, sentenceOf(row))),
      moveElsewhere(row, hanging),
      ...changing.body,
      ...removal(row, hanging),
    ],
    leave: changing.leave,
  };
}
