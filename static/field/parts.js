// The parts of the forms at a tree: photo, position, size.

import * as store from "./store.js";
import { button, h, stepper, t } from "./dom.js";
import { diameter } from "./checks.js";
import { readPhoto } from "./records.js";
import { GOOD_M, watchPosition } from "./position.js";

/** The photo: one big button that opens the camera, then the picture. `ontake()` when the officer goes to take it. */
export function photoPart({ ontake = () => {}, onchange = () => {}, text = t("take_photo") }) {
  const part = { taken: null };
  const image = h("img", { alt: "", hidden: true });
  const label = h("span", {}, text);
  const wrong = h("p", { class: "wrong", hidden: true, role: "alert" });
  const say = (sentence) => {
    wrong.textContent = sentence;
    wrong.hidden = !sentence;
  };
  const forget = () => {
    if (part.taken) URL.revokeObjectURL(part.taken.url);
    part.taken = null;
  };
  const show = () => {
    image.hidden = !part.taken;
    if (part.taken) image.src = part.taken.url;
    label.textContent = part.taken ? t("photo_again") : text;
    part.element.classList.toggle("has-photo", Boolean(part.taken));
  };
  const input = h("input", {
    type: "file", accept: "image/*", capture: "environment", name: "photo", class: "visually-hidden",
    onclick: ontake,
    onchange: async () => {
      const [file] = input.files;
      if (!file) return;
      say("");
      try {
        const taken = await readPhoto(file);
        forget();
        part.taken = taken;
      } catch (error) {
        say(error.message);
      }
      input.value = "";
      show();
      onchange();
    },
  });
  part.element = h("div", { class: "photo" }, h("label", { class: "shutter" }, image, label, input), wrong);
  part.say = say;
  part.clear = () => {
    forget();
    show();
  };
  part.leave = forget;
  return part;
}

/** The position with its accuracy, live. */
export function positionPart(changed = () => {}) {
  const line = h("p", { class: "position", "aria-live": "polite", id: "position" });
  const show = () => {
    const best = watch.best();
    line.dataset.state = best ? (best.m <= GOOD_M ? "good" : "poor") : "none";
    if (best) line.textContent = t(best.m <= GOOD_M ? "position_good" : "position_poor", { m: best.m, good: GOOD_M });
    else line.textContent = t(watch.denied() ? "position_denied" : "position_none");
  };
  const watch = watchPosition(() => {
    show();
    changed();
  });
  show();
  return {
    element: line,
    walk: watch.walk,
    stand: watch.stand,
    look: watch.look,
    leave: watch.stop,
    isGood: () => (watch.best()?.m ?? Infinity) <= GOOD_M,
    metres: () => watch.best()?.m ?? null,
    fields: () => {
      const best = watch.best();
      return { lon: best ? best.lon : null, lat: best ? best.lat : null, accuracy_m: best ? best.m : null };
    },
  };
}

/** DBH in cm: entered as it is, or as the girth that the tape shows. Which of them is remembered. */
export async function sizePart(dbhCm) {
  let mode = (await store.get("size-mode")) || "dbh";
  const input = h("input", { inputmode: "decimal", name: "size", autocomplete: "off", maxlength: 6, "aria-label": t("dbh") });
  const result = h("p", { class: "hint", id: "dbh-result" });
  const part = { changed: false };
  const number = () => {
    const value = Number.parseFloat(input.value.normalize("NFKC").replace(",", "."));
    return Number.isFinite(value) ? value : null;
  };
  part.dbhCm = () => {
    const value = number();
    return value === null ? null : mode === "girth" ? diameter(value) : Math.round(value * 10) / 10;
  };
  const show = () => {
    const cm = part.dbhCm();
    result.textContent = mode === "girth" && cm !== null ? t("girth_gives", { cm: cm.toFixed(1) }) : "";
    result.hidden = !result.textContent;
  };
  const entered = () => {
    part.changed = true;
    show();
  };
  const modes = ["dbh", "girth"].map((one) => button(t(one), () => choose(one), "tab", { "data-mode": one }));
  const choose = (one) => {
    const cm = part.dbhCm();
    mode = one;
    if (cm !== null) input.value = (mode === "girth" ? cm * Math.PI : cm).toFixed(1);
    mark();
    store.set("size-mode", mode);
  };
  const mark = () => {
    for (const tab of modes) tab.setAttribute("aria-pressed", String(tab.dataset.mode === mode));
    show();
  };
  input.addEventListener("input", entered);
  if (dbhCm !== null && dbhCm !== undefined && dbhCm !== "") {
    input.value = (mode === "girth" ? Number(dbhCm) * Math.PI : Number(dbhCm)).toFixed(1);
  }
  part.element = h(
    "div", { class: "field", "data-field": "size" },
    h("div", { class: "tabs" }, modes), stepper(input, entered), result, h("p", { class: "wrong", hidden: true, role: "alert" }),
  );
  mark();
  return part;
}
