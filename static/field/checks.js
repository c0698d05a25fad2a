// What can be checked on the phone, by the same rules and with the same sentences as on the server. Each check gives
// a text's key when something is wrong, else "".

/** The form that is compared: fullwidth letters narrowed, spaces and hyphens dropped, upper case. */
export const normalise = (text) =>
  text.normalize("NFKC").replace(/[\s\-‐‑–—.]+/g, "").toUpperCase();

const ID_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/** Resident ID number: 17 digits with a birth date, and an ISO 7064 MOD 11-2 check character. */
export function checkIdNumber(text) {
  const number = normalise(text);
  if (!/^\d{17}[\dX]$/.test(number)) return "bad_id_number";
  const [year, month, day] = [number.slice(6, 10), number.slice(10, 12), number.slice(12, 14)].map(Number);
  const born = new Date(Date.UTC(year, month - 1, day));
  const isDay = born.getUTCFullYear() === year && born.getUTCMonth() === month - 1 && born.getUTCDate() === day;
  const sum = ID_WEIGHTS.reduce((total, weight, i) => total + weight * Number(number[i]), 0);
  const right = "10X98765432"[sum % 11] === number[17];
  return isDay && born <= Date.now() && right ? "" : "bad_id_number";
}

export const checkPhone = (text) => (/^1[3-9]\d{9}$/.test(normalise(text)) ? "" : "bad_phone");

function luhn(number) {
  const sum = [...number].reverse().reduce((total, digit, i) => {
    const value = Number(digit) * (i % 2 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}

/** Account number: 8 to 32 digits. A card's Luhn check digit is a hint: where it does not fit, the officer must have
 * compared the number (`isChecked`); a passbook has none. */
export function checkAccount(text, isCard, isChecked = false) {
  const number = normalise(text);
  if (!/^\d{8,32}$/.test(number)) return "bad_account";
  return isCard && !isChecked && !luhn(number) ? "bad_card" : "";
}

/** CNAPS code: 12 digits, the last one by ISO 7064 MOD 11,10. */
export function checkBankCode(text) {
  const code = normalise(text);
  if (!/^\d{12}$/.test(code)) return "bad_bank_code";
  let check = 5;
  for (const digit of code) check = (((check || 10) * 2) % 11 + Number(digit)) % 10;
  return check === 1 ? "" : "bad_bank_code";
}

const DAMM = [
  "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
  "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
];

/** Whether a tree's 19 digits end in the right check digit (Damm). */
export const isTreeNumber = (text) =>
  /^\d{19}$/.test(text) && [...text].reduce((interim, digit) => Number(DAMM[interim][Number(digit)]), 0) === 0;

/** A tree's number in a scanned address, or typed whole, or its last 7 digits within a village; else "". */
export function treeNumber(text, villageCode) {
  const typed = text.normalize("NFKC");
  const digits = /\d{19}/.exec(typed)?.[0] || typed.replace(/\D/g, "");
  const whole = digits.length === 7 ? `${villageCode}${digits}` : digits;
  return isTreeNumber(whole) ? whole : "";
}

/** Whether the programme takes a tree of this size (cm) or age; gives [key, values] of the sentence, or null. */
export function checkEligible(programme, dbhCm, plantedYear, year) {
  const age = plantedYear === null ? null : year - plantedYear;
  if (dbhCm !== null && !(dbhCm > 0 && dbhCm < 500)) return ["bad_dbh", {}];
  if (age !== null && age < 0) return ["planted_later", {}];
  const most = programme.max_dbh_cm === null ? Infinity : Number(programme.max_dbh_cm);
  if (dbhCm !== null && dbhCm > most) return ["too_thick", { cm: programme.max_dbh_cm }];
  if (dbhCm !== null && dbhCm >= Number(programme.min_dbh_cm)) return null;
  if (age !== null && age >= programme.min_age_years) return null;
  return ["too_young", { cm: programme.min_dbh_cm, years: programme.min_age_years }];
}

export const diameter = (girthCm) => Math.round((girthCm / Math.PI) * 10) / 10;
