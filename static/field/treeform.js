// A tree's form: the next tree of a household, a correction, or a tree of the queue that is to be changed.

import * as store from "./store.js";
import { button, field, h, notice, select, showWrong, speciesName, t } from "./dom.js";
import { checkEligible } from "./checks.js";
import { day, findHousehold, findTree, isToday, localDay, speciesOf } from "./day.js";
import { edited, keep, newRecord, photoRecord } from "./records.js";
import { photoPart, positionPart, sizePart } from "./parts.js";
import { reasonOf } from "./today.js";
import { missing } from "./household.js";

const treeLabel = (body) =>
  `${speciesName(speciesOf(body.species))}${body.dbh_cm === null ? "" : ` ${body.dbh_cm} cm`}`;

/** Species, size and year, with what the programme says of them. */
async function measures(known) {
  const options = day.data.species.map((species) => [species.scientific_name, speciesName(species)]);
  const species = select(known.species ? options : [["", t("choose_species")], ...options], known.species || "");
  const size = await sizePart(known.dbh_cm);
  const year = h("input", { inputmode: "numeric", maxlength: 4, value: known.planted_year || "", autocomplete: "off" });
  const form = h(
    "div", { class: "measures" },
    field("species", t("species"), species),
    size.element,
    field("planted_year", t("planted_year"), year, t("planted_hint")),
  );
  const read = () => ({
    species: species.value,
    dbh_cm: size.dbhCm() === null ? null : size.dbhCm().toFixed(1),
    planted_year: year.value.trim() ? Number(year.value.normalize("NFKC")) : null,
  });
  /** True when the server would take these; else says what is wrong beside the field. */
  const isRight = () => {
    const { species: name, dbh_cm, planted_year } = read();
    const now = Number(localDay().slice(0, 4));
    const wrong = { species: name ? "" : t("choose_species") };
    if (planted_year !== null && !(planted_year >= 1800 && planted_year <= 2200)) wrong.planted_year = t("bad_year");
    else if (day.data.programme) {
      const found = checkEligible(day.data.programme, dbh_cm === null ? null : Number(dbh_cm), planted_year, now);
      if (found) wrong[found[0] === "planted_later" ? "planted_year" : "size"] = t(...found);
    }
    return showWrong(form, wrong);
  };
  return { form, read, isRight };
}

/**
 * The save button, and the second one while the position is not good: the first saves as soon as it is, the second
 * now. `save()` is called once.
 */
function saveButtons(position, isRight, save, text) {
  let wanted = false, saving = false;
  const go = async () => {
    if (saving) return;
    saving = true;
    wanted = false;
    await save();
    saving = false;
    show();
  };
  const press = () => {
    if (!isRight()) return;
    if (position.isGood()) go();
    else {
      wanted = true;
      show();
    }
  };
  const first = button(text, press, "button wide huge", { id: "save" });
  const now = button("", () => isRight() && go(), "button quiet wide", { id: "save-now" });
  const show = () => {
    const metres = position.metres();
    first.textContent = wanted ? t("waiting_for_position") : text;
    first.classList.toggle("waits", wanted);
    now.hidden = position.isGood();
    now.textContent = metres === null ? t("save_without_position") : t("save_at", { m: metres });
  };
  show();
  return {
    elements: [h("div", { class: "bottom" }, first, now)],
    moved: () => {
      if (wanted && position.isGood()) go();
      else show();
    },
    show,
  };
}

const toast = (text) => {
  const line = h("p", { class: "toast", role: "status" }, text);
  document.body.append(line);
  setTimeout(() => line.remove(), 2500);
};

/** The next tree: after saving, the same screen waits for the one after it. */
export async function treeScreen({ params: [reference] }) {
  const household = await findHousehold(reference);
  if (!household) return missing(t("household_not_here"));
  const remembered = (await store.get("last-tree")) || {};
  const { form, read, isRight } = await measures(remembered);
  const counted = h("p", { class: "counted" });
  let taken_at = null;

  const showCount = async () => {
    const rows = await store.rows();
    const mine = rows.filter((row) => row.kind === "tree" && row.officer === day.data.officer.id && isToday(row.made_at));
    const here = mine.filter((row) => [household.public_id, household.client_uuid].includes(row.body?.household || row.household));
    counted.textContent = t("saved_here_today", { here: here.length, all: mine.length });
  };
  const photo = photoPart({
    // Where the officer stands now is where the tree is: fixes from the way here do not count.
    ontake: () => position.stand(),
    onchange: () => {
      taken_at = new Date().toISOString();
      position.look();
      buttons.show();
    },
  });
  const position = positionPart(() => buttons.moved());
  const save = async () => {
    const body = {
      household: household.reference, ...read(), ...position.fields(), measured_on: localDay(), captured_at: taken_at,
    };
    const after = household.row && household.row.state !== "done" ? [household.row.uuid] : [];
    const tree = newRecord("tree", { body, label: treeLabel(body), after });
    try {
      await keep([tree, photoRecord(photo.taken, tree.uuid, tree.label, [tree.uuid])], [photo.taken]);
    } catch (error) {
      photo.say(error.message);
      return;
    }
    await store.set("last-tree", { species: body.species, dbh_cm: body.dbh_cm, planted_year: body.planted_year });
    photo.clear();
    position.walk();
    await showCount();
    toast(t("saved"));
    scrollTo(0, 0);
  };
  const hasPhoto = () => {
    if (!photo.taken) photo.say(t("photo_first"));
    return Boolean(photo.taken);
  };
  const buttons = saveButtons(position, () => hasPhoto() && isRight(), save, t("save_next"));
  await showCount();
  return {
    title: household.name,
    back: `#/household/${reference}`,
    body: [counted, photo.element, position.element, form, ...buttons.elements],
    leave: () => {
      photo.leave();
      position.leave();
    },
  };
}

/** What a form that changes a tree shares: the recorded position stays unless the officer takes it anew. */
async function changeForm({ known, text, needsPhoto, save }) {
  const { form, read, isRight } = await measures(known);
  const photo = photoPart({ text: needsPhoto ? t("take_photo") : t("new_photo"), onchange: () => buttons.show() });
  let watching = null;
  const place = h("div", { class: "field" });
  const recorded = { lon: known.lon ?? null, lat: known.lat ?? null, accuracy_m: known.accuracy_m ?? null };
  const still = { isGood: () => true, metres: () => null, fields: () => recorded };
  const position = {
    isGood: () => (watching || still).isGood(),
    metres: () => (watching || still).metres(),
    fields: () => (watching || still).fields(),
  };
  const watch = () => {
    watching = positionPart(() => buttons.moved());
    watching.stand();
    place.replaceChildren(watching.element);
    buttons.show();
  };
  const ready = () => {
    const missingPhoto = needsPhoto && !photo.taken;
    if (missingPhoto) photo.say(t("photo_first"));
    return !missingPhoto && isRight();
  };
  const finish = async () => {
    try {
      await save({ ...read(), ...position.fields() }, photo.taken);
    } catch (error) {
      photo.say(error.message);
    }
  };
  const buttons = saveButtons(position, ready, finish, text);
  place.append(
    h("p", { class: "position" }, recorded.lat === null ? t("position_recorded_none") : t("position_recorded", { m: recorded.accuracy_m ?? "?" })),
    button(t("position_anew"), watch, "button quiet"),
  );
  return {
    body: [photo.element, form, place, ...buttons.elements],
    leave: () => {
      photo.leave();
      if (watching) watching.leave();
    },
  };
}

/** Corrects a tree that was rejected or still waits for its review, or measures one anew whose vintages are over. */
export async function correctScreen({ params: [reference] }) {
  const tree = await findTree(reference);
  if (!tree) return missing(t("tree_not_here"));
  const rows = await store.rows();
  const waiting = rows.find((row) => row.kind === "correction" && row.tree === tree.number && row.state !== "done");
  const anew = ["expired", "withdrawn"].includes(tree.state);
  const noPhoto = !tree.photos.some(({ state }) => state !== "refused");
  const badPhoto = tree.state === "rejected" && tree.review?.reason === "bad_photo";
  const save = async (entered, taken) => {
    const body = { ...entered, measured_on: localDay(), captured_at: new Date().toISOString(), revision: tree.revision };
    const label = treeLabel(body);
    const record = waiting ? edited(waiting, { body, label }) : newRecord("correction", { tree: tree.number, number: tree.number, body, label });
    const photos = taken ? [photoRecord(taken, tree.number, label, [])] : [];
    await keep([record, ...photos], taken ? [taken] : []);
    location.hash = `#/tree/${reference}`;
  };
  const known = { ...tree, ...(waiting?.body || {}) };
  const form = await changeForm({ known, text: t("save_correction"), needsPhoto: anew || noPhoto || badPhoto, save });
  return {
    title: t(anew ? "register_anew" : "correct_tree"),
    back: `#/tree/${reference}`,
    body: [(tree.state === "rejected" || noPhoto) && notice("bad", h("strong", {}, reasonOf(tree))), ...form.body],
    leave: form.leave,
  };
}

/** A tree of the queue, to be changed and sent again. */
export async function changeTree(row) {
  const save = async (entered, taken) => {
    const body = { ...row.body, ...entered };
    const label = treeLabel(body);
    const [tree, after] = row.kind === "tree" ? [row.uuid, [row.uuid]] : [row.tree, []];
    const photos = taken ? [photoRecord(taken, tree, label, after)] : [];
    await keep([edited(row, { body, label }), ...photos], taken ? [taken] : []);
    location.hash = "#/waiting";
  };
  return changeForm({ known: row.body, text: t("save_send_again"), needsPhoto: false, save });
}
