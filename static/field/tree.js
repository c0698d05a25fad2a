// One tree: what is recorded of it and what can be done with it; inspections; and how one gets here: by its tag.

import * as store from "./store.js";
import { APP, button, choices, field, h, label, link, notice, shortNumber, showWrong, speciesName, t, values } from "./dom.js";
import { day, fetchTree, findTree, localDay, speciesOf } from "./day.js";
import { treeNumber } from "./checks.js";
import { keep, newRecord, photoRecord } from "./records.js";
import { photoPart, positionPart, sizePart } from "./parts.js";
import { reasonOf } from "./today.js";
import { missing } from "./household.js";

const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** What is recorded of a tree, as rows of name and value. */
export function facts(tree) {
  return [
    [t("species"), speciesName(speciesOf(tree.species))],
    [t("dbh"), tree.dbh_cm === null ? "–" : `${Number(tree.dbh_cm)} cm`],
    [t("planted_year"), tree.planted_year === null ? "–" : String(tree.planted_year)],
    [t("position"), tree.lat === null || tree.lat === undefined ? t("no_position")
      : `${Number(tree.lat).toFixed(6)}, ${Number(tree.lon).toFixed(6)} (± ${tree.accuracy_m ?? "?"} m)`],
    [t("measured_on"), tree.measured_on],
  ];
}

/** The tree of the phone, else of the server; null when neither has it, undefined when the server is out of reach. */
async function look(reference) {
  const here = await findTree(reference);
  if (here) return here;
  try {
    return await fetchTree(reference);
  } catch (error) {
    return error.status === 404 ? null : undefined;
  }
}

function actions(tree) {
  const inspect = (condition, kind) => link(`#/tree/${tree.number}/inspect/${condition}`, t(`report_${condition}`), kind);
  if (tree.state === "approved") {
    return [inspect("alive", "button wide huge"), h("div", { class: "pair" },
      inspect("damaged", "button quiet"), inspect("dead", "button quiet"), inspect("felled", "button quiet"))];
  }
  const correct = (text) => link(`#/tree/${tree.number}/correct`, text, "button wide huge");
  if (tree.state === "rejected" || tree.state === "submitted") return [correct(t("correct_tree"))];
  if (tree.state === "expired" || tree.state === "withdrawn") return [correct(t("register_anew"))];
  return [];
}

export async function treeDetail({ params: [reference] }) {
  const tree = await look(reference);
  if (tree === null) return missing(t("tree_not_yours"));
  if (tree === undefined) return missing(t("tree_not_here"));
  const noPhoto = !tree.photos.some(({ state }) => state !== "refused");
  const rows = await store.rows();
  const waiting = rows.filter((row) => row.state !== "done" && [tree.number, tree.client_uuid].includes(row.tree));
  const picture = tree.picture && h("img", {
    class: "picture", src: tree.picture, alt: "", onerror: (event) => event.target.remove(),
  });
  return {
    title: shortNumber(tree.number),
    back: tree.household ? `#/household/${tree.household}` : "#/",
    live: true,
    body: [
      (tree.state === "rejected" || noPhoto) && notice("bad", h("strong", {}, reasonOf(tree))),
      waiting.length > 0 && notice("good", t("tree_waits", { n: waiting.length })),
      picture,
      h("p", { class: "number" }, tree.number),
      h("dl", { class: "facts" }, fact(t("state"), tree.state_text || tree.state), facts(tree).map(([name, value]) => fact(name, value))),
      ...actions(tree),
    ],
  };
}

export async function inspectScreen({ params: [reference, condition] }) {
  const tree = await look(reference);
  if (!tree) return missing(t("tree_not_here"));
  const alive = condition === "alive";
  const measured = alive || condition === "damaged";
  const size = measured ? await sizePart(tree.dbh_cm) : null;
  const photo = photoPart({ ontake: () => position.stand(), onchange: () => position.look() });
  const position = positionPart();
  const form = h(
    "form", { novalidate: true, onsubmit: (event) => event.preventDefault() },
    alive ? "" : choices("cause", t("cause"), APP.choices.cause, ""),
    size ? size.element : "",
    field("note", t("note"), h("textarea", { maxlength: 300, rows: 2 })),
  );
  const wrong = (entered) => {
    const cm = size?.dbhCm();
    return {
      cause: alive || entered.cause ? "" : t("choose_one"),
      size: size && cm !== null && !(cm > 0 && cm < 500) ? t("bad_dbh") : "",
    };
  };
  const save = async () => {
    const entered = values(form);
    if (!alive && !photo.taken) photo.say(t("photo_first"));
    if (!showWrong(form, wrong(entered)) || (!alive && !photo.taken)) return;
    const cm = size?.dbhCm() ?? null;
    const body = {
      tree: tree.number, condition, cause: entered.cause || "", dbh_cm: cm === null ? null : cm.toFixed(1),
      ...position.fields(), inspected_on: localDay(), note: entered.note.trim(),
    };
    const record = newRecord("inspection", { tree: tree.number, number: tree.number, body, label: label("condition", condition) });
    const photos = photo.taken ? [photoRecord(photo.taken, tree.number, record.label, [record.uuid], record.uuid)] : [];
    try {
      await keep([record, ...photos], photo.taken ? [photo.taken] : []);
      location.hash = `#/tree/${reference}`;
    } catch (error) {
      photo.say(error.message);
    }
  };
  return {
    title: `${t(`report_${condition}`)} ${shortNumber(tree.number)}`,
    back: `#/tree/${reference}`,
    body: [
      ["dead", "felled"].includes(condition) && h("p", { class: "hint" }, t("second_person")),
      photo.element, position.element, form,
      h("div", { class: "bottom" }, button(t("save"), save, "button wide huge", { id: "save" })),
    ],
    leave: () => {
      photo.leave();
      position.leave();
    },
  };
}

/** Looks for a QR code in the camera's picture; `found(text)` gets each. Gives a function that stops it. */
async function readCodes(video, found) {
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  let going = true;
  const stop = () => {
    going = false;
    stream.getTracks().forEach((track) => track.stop());
  };
  video.srcObject = stream;
  await video.play();
  const lookAgain = async () => {
    if (!going) return;
    const [code] = await detector.detect(video).catch(() => []);
    if (code) found(code.rawValue);
    setTimeout(lookAgain, 150);
  };
  lookAgain();
  return stop;
}

export async function scanScreen() {
  const input = h("input", { inputmode: "numeric", autocomplete: "off", maxlength: 24 });
  const open = (text) => {
    const number = treeNumber(text, day.village);
    if (number) location.hash = `#/tree/${number}`;
    return number;
  };
  const form = h(
    "form", {
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        if (!open(input.value)) showWrong(form, { number: t("bad_number") });
      },
    },
    field("number", t("tree_number"), input, t("tree_number_hint")),
    h("button", { class: "button wide huge" }, t("open_tree")),
  );
  let stop = () => {}, left = false;
  const view = h("div", {});
  if ("BarcodeDetector" in globalThis && navigator.mediaDevices) {
    const video = h("video", { class: "scan", muted: true, playsinline: true });
    const say = h("p", { class: "hint" }, t("point_at_tag"));
    view.append(video, say);
    readCodes(video, (text) => { if (!open(text)) say.textContent = t("no_tag"); }).then((end) => {
      if (left) end();
      else stop = end;
    }, () => view.replaceChildren(h("p", { class: "hint" }, t("no_camera"))));
  }
  return {
    title: t("scan_tag"),
    back: "#/",
    body: [view, form],
    leave: () => {
      left = true;
      stop();
    },
  };
}
