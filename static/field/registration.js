// Registering a household: consent read out, signed on the screen, details, bank account. What was entered is kept on
// the phone after each step, and wiped once the household is saved (and again once the server has confirmed it).

import * as store from "./store.js";
import { APP, button, choices, field, h, link, notice, select, showWrong, t, values } from "./dom.js";
import { checkAccount, checkBankCode, checkIdNumber, checkPhone, normalise } from "./checks.js";
import { day, findHousehold } from "./day.js";
import { edited, keep, newRecord, newUuid } from "./records.js";
import { missing } from "./household.js";
import { signaturePad } from "./signature.js";

const key = () => `draft/${day.data.officer.id}`;
const input = (value, more = {}) => h("input", { value: value || "", autocomplete: "off", ...more });
const numeric = { inputmode: "numeric" };

async function toStep(draft, step) {
  await store.set(key(), { ...draft, step });
  location.hash = `#/new-household/${step}`;
}

const nextButton = (text) => h("button", { class: "button wide huge" }, text);

function consentStep(draft) {
  const { consent } = day.data;
  return [
    h("p", { class: "hint" }, t("read_out")),
    h("blockquote", { lang: "zh" }, consent.body.split("\n").map((line) => h("p", {}, line))),
    h("p", { class: "hint" }, t("version", { version: consent.version })),
    button(t("understood_sign"), () => toStep({ ...draft, consent_version: consent.version }, 2), "button wide huge"),
  ];
}

function signatureStep(draft) {
  const next = button(t("signed_next"), async () => {
    const drawn = pad.isEmpty() ? {} : { signature: pad.image(), consent_signed_at: new Date().toISOString() };
    await toStep({ ...draft, ...drawn }, 3);
  }, "button wide huge", { disabled: !draft.signature });
  const pad = signaturePad((empty) => { next.disabled = empty; });
  if (draft.signature) pad.show(draft.signature);
  return [
    h("p", { class: "hint" }, t("sign_here")),
    pad.canvas,
    button(t("sign_again"), () => pad.clear(), "button quiet wide"),
    next,
  ];
}

function detailsWrong(entered) {
  const area = Number(entered.area_mu);
  return {
    head_name: entered.head_name.trim() ? "" : t("no_name"),
    id_number: checkIdNumber(entered.id_number) && t("bad_id_number"),
    phone: checkPhone(entered.phone) && t("bad_phone"),
    category: entered.category ? "" : t("choose_one"),
    area_mu: entered.area_mu && area >= 0.01 && area < 10000 ? "" : t("bad_area"),
    tenure: entered.tenure ? "" : t("choose_one"),
    tenure_number: entered.tenure === "certificate" && !entered.tenure_number.trim() ? t("no_tenure_number") : "",
  };
}

function detailsStep(draft, row) {
  const villages = day.data.villages.map(({ code, name }) => [code, name]);
  const tenureNumber = field("tenure_number", t("tenure_number"), input(draft.tenure_number, { maxlength: 60 }));
  const onTenure = () => { tenureNumber.hidden = values(form).tenure !== "certificate"; };
  const submit = async (event) => {
    event.preventDefault();
    const entered = values(form);
    if (!showWrong(form, detailsWrong(entered))) return;
    if (row) await saveAgain(row, { ...draft, ...entered });
    else await toStep({ ...draft, ...entered, holder: draft.holder || entered.head_name }, 4);
  };
  const form = h(
    "form", { onsubmit: submit, novalidate: true },
    field("village_code", t("village"), select(villages, draft.village_code || day.village)),
    field("head_name", t("head_name"), input(draft.head_name, { maxlength: 40 })),
    field("id_number", t("id_number"), input(draft.id_number, { maxlength: 24, autocapitalize: "characters" })),
    field("phone", t("phone"), input(draft.phone, { maxlength: 20, inputmode: "tel" })),
    choices("category", t("category"), APP.choices.category, draft.category),
    field("area_mu", t("area_mu"), input(draft.area_mu, { inputmode: "decimal", maxlength: 7 }), t("area_hint")),
    choices("tenure", t("tenure"), APP.choices.tenure, draft.tenure, onTenure),
    tenureNumber,
    nextButton(row ? t("save_send_again") : t("next_account")),
  );
  onTenure();
  return [form];
}

export const householdBody = (entered) => ({
  village_code: entered.village_code,
  head_name: entered.head_name.trim(),
  id_number: normalise(entered.id_number),
  phone: normalise(entered.phone),
  category: entered.category,
  area_mu: Number(entered.area_mu).toFixed(2),
  tenure: entered.tenure,
  tenure_number: entered.tenure === "certificate" ? entered.tenure_number.trim() : "",
  consent_version: entered.consent_version,
  consent_signed: true,
  consent_signed_at: entered.consent_signed_at,
  signature: entered.signature,
});

async function saveAgain(row, entered) {
  const body = householdBody(entered);
  await keep([edited(row, { body, label: body.head_name, village_code: body.village_code })]);
  location.hash = `#/household/${row.uuid}`;
}

export const accountBody = (entered, household) => ({
  household,
  holder: entered.holder.trim(),
  bank_name: entered.bank_name.trim(),
  bank_code: normalise(entered.bank_code),
  number: normalise(entered.number),
  is_card: entered.is_card === "on",
  number_checked: entered.number_checked === "on",
});

function accountWrong(entered) {
  const number = checkAccount(entered.number, entered.is_card === "on", entered.number_checked === "on");
  return {
    holder: entered.holder.trim() ? "" : t("no_name"),
    bank_name: entered.bank_name.trim() ? "" : t("no_bank"),
    bank_code: checkBankCode(entered.bank_code) && t("bad_bank_code"),
    number: number && t(number),
  };
}

/** The form of a bank account; `save(entered)` gets what passed the checks. */
async function accountForm(known, save, text) {
  // The branch is the same for most households of a village.
  const branch = (await store.get("branch")) || {};
  const submit = async (event) => {
    event.preventDefault();
    const entered = values(form);
    if (checkAccount(entered.number, entered.is_card === "on") === "bad_card") confirmed.hidden = false;
    if (!showWrong(form, accountWrong(entered))) return;
    await store.set("branch", { bank_name: entered.bank_name, bank_code: entered.bank_code });
    await save(entered);
  };
  const card = known.is_card === undefined || known.is_card;
  // Asked only once a card's check digit does not fit, and anew for each number.
  const checked = h("input", { type: "checkbox", name: "number_checked", checked: known.number_checked });
  const confirmed = h("label", { class: "tick", hidden: !known.number_checked }, checked, h("span", {}, t("number_checked")));
  const ask = () => {
    checked.checked = false;
    confirmed.hidden = true;
  };
  const form = h(
    "form", { onsubmit: submit, novalidate: true },
    field("holder", t("holder"), input(known.holder, { maxlength: 40 }), t("holder_hint")),
    field("number", t("account_number"), input(known.number, { maxlength: 40, oninput: ask, ...numeric })),
    confirmed,
    h("label", { class: "tick" }, h("input", { type: "checkbox", name: "is_card", checked: card }), h("span", {}, t("is_card"))),
    field("bank_name", t("bank_name"), input(known.bank_name || branch.bank_name, { maxlength: 80 })),
    field("bank_code", t("bank_code"), input(known.bank_code || branch.bank_code, { maxlength: 20, ...numeric })),
    nextButton(text),
  );
  return form;
}

/** Saves the household, with its account if one was entered, and wipes the draft. */
async function saveHousehold(draft, account) {
  const body = householdBody(draft);
  const household = newRecord("household", { body, label: body.head_name, village_code: body.village_code });
  const records = [household];
  if (account) {
    const sent = accountBody(account, household.uuid);
    records.push(newRecord("account", { body: sent, label: body.head_name, after: [household.uuid] }));
  }
  await keep(records);
  await store.drop(key());
  location.replace(`#/household/${household.uuid}`);
}

async function accountStep(draft) {
  const without = button(t("account_later"), () => saveHousehold(draft, null), "button quiet wide");
  return [await accountForm(draft, (entered) => saveHousehold(draft, entered), t("save_household")), without];
}

const STEPS = { 1: consentStep, 2: signatureStep, 3: detailsStep, 4: accountStep };

export async function registrationScreen({ params: [step] }) {
  if (!day.data.consent) return missing(t("no_consent_text"));
  const draft = (await store.get(key())) || {};
  const backTo = Number(step) > 1 ? `#/new-household/${Number(step) - 1}` : "#/";
  const tooEarly = Number(step) > 2 && !draft.signature;
  const forget = async () => {
    await store.drop(key());
    location.hash = "#/";
  };
  return {
    title: t("new_household_step", { n: step }),
    back: backTo,
    body: tooEarly
      ? [notice("warn", t("sign_first")), link("#/new-household/1", t("to_consent"), "button wide")]
      : [...(await STEPS[step](draft)), draft.step && button(t("forget_draft"), forget, "button plain wide")],
  };
}

/** A household that the server refused, to be changed and sent again. */
export const changeHousehold = (row) => detailsStep(row.body, row);

/** A bank account of a household that is registered already, or one that was refused. */
export async function accountScreen({ params: [reference] }) {
  const household = await findHousehold(reference);
  if (!household) return missing(t("household_not_here"));
  const save = async (entered) => {
    const after = household.row && household.row.state !== "done" ? [household.row.uuid] : [];
    const body = accountBody(entered, household.reference);
    await keep([newRecord("account", { body, label: household.name, after })]);
    location.hash = `#/household/${reference}`;
  };
  const known = household.row?.body ? { holder: household.row.body.head_name } : {};
  return {
    title: t("bank_account"),
    back: `#/household/${reference}`,
    body: [h("p", { class: "hint" }, t("account_checked")), await accountForm(known, save, t("save"))],
  };
}

export async function changeAccount(row) {
  const save = async (entered) => {
    // Under its old UUID the server may have another account already: this one is a new version.
    await keep([edited(row, { uuid: newUuid(), body: accountBody(entered, row.body.household) })]);
    await store.change(row.uuid, () => null);
    location.hash = "#/waiting";
  };
  return [await accountForm(row.body, save, t("save_send_again"))];
}
