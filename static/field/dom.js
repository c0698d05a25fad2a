// Small parts that all screens are built of. Texts come translated from the page; nothing is ever set as HTML.

export const APP = JSON.parse(document.getElementById("app").textContent);

/** The translated text of a key, with {name} replaced by values. */
export function t(key, values = {}) {
  const text = APP.texts[key];
  if (text === undefined) throw new Error(`There is no text "${key}".`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** An element with attributes (`onclick` and the like are listeners) and children; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const link = (href, text, kind = "button") => h("a", { href, class: kind }, text);

export const button = (text, onclick, kind = "button", more = {}) =>
  h("button", { type: "button", class: kind, onclick, ...more }, text);

/** A notice the officer should read; `kind` is "bad", "warn" or "good". */
export const notice = (kind, ...children) => h("div", { class: `notice ${kind}`, role: "status" }, ...children);

/** A labelled input with its hint and a place for what is wrong with it. */
export function field(name, label, input, hint = "") {
  input.id = input.id || `field-${name}`;
  input.setAttribute("name", name);
  return h(
    "div", { class: "field", "data-field": name },
    h("label", { for: input.id }, label),
    hint && h("p", { class: "hint" }, hint),
    input,
    h("p", { class: "wrong", hidden: true, role: "alert" }),
  );
}

/** Big buttons of which one is chosen. */
export function choices(name, label, options, value, onchange = () => {}) {
  return h(
    "fieldset", { class: "field choices", "data-field": name },
    h("legend", {}, label),
    h("div", { class: "choice-row" }, options.map(([key, text]) =>
      h("label", {}, h("input", { type: "radio", name, value: key, checked: key === value, onchange }), h("span", {}, text)))),
    h("p", { class: "wrong", hidden: true, role: "alert" }),
  );
}

export const select = (options, value, more = {}) =>
  h("select", more, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));

/** Says beside each field what is wrong ({name: sentence}); goes to the first one. True when nothing is wrong. */
export function showWrong(form, wrong) {
  let first = null;
  for (const box of form.querySelectorAll("[data-field]")) {
    const sentence = wrong[box.dataset.field] || "";
    const line = box.querySelector(".wrong");
    line.textContent = sentence;
    line.hidden = !sentence;
    box.classList.toggle("is-wrong", Boolean(sentence));
    if (sentence && !first) first = box;
  }
  if (first) {
    first.scrollIntoView({ block: "center" });
    first.querySelector("input, select, textarea, button")?.focus({ preventScroll: true });
  }
  return first === null;
}

/** What a form's fields hold, by name. */
export const values = (form) => Object.fromEntries(new FormData(form).entries());

/** A number, and buttons to make it larger and smaller without a keyboard. */
export function stepper(input, onchange) {
  const by = (step) => () => {
    input.value = Math.max(0, (Number.parseFloat(input.value) || 0) + step).toFixed(1);
    onchange();
  };
  const key = (text, step) => button(text, by(step), "step", { "aria-label": text });
  return h("div", { class: "stepper" }, key("−1", -1), key("−0.1", -0.1), input, key("+0.1", 0.1), key("+1", 1));
}

export const speciesName = (species) => (APP.language === "en" && species.name_en) || species.name_zh;
export const shortNumber = (number) => `${number.slice(12, 15)}-${number.slice(15, 18)}-${number.slice(18)}`;
export const clock = (ms) => new Date(ms).toLocaleTimeString(APP.language, { hour: "2-digit", minute: "2-digit" });
export const label = (choice, value) => (APP.choices[choice].find(([key]) => key === value) || ["", value])[1];
