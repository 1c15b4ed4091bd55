// @ts-check
// Numbers, money and times, as they are shown. Money stays the text that it is: no number of JavaScript holds all of it.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** @param {number} n */
const count = (n) => n.toLocaleString("en", { maximumFractionDigits: 6 });

/** @param {number} n @param {string} one @param {string} [many] */
const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** What bills are written in: the token of the gate's first offer. */
const currency = () => found("app").dataset["currency"] ?? "";

/**
 * An amount with its currency, thousands apart.
 * @param {string} amount
 * @param {string | null} [symbol]
 */
function money(amount, symbol = currency()) {
  const [whole = "", fraction] = amount.split(".");
  const apart = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${apart}${fraction === undefined ? "" : `.${fraction}`} ${symbol ?? ""}`.trimEnd();
}

/** @param {number} part @param {number} whole */
const share = (part, whole) => (whole === 0 ? "none" : `${((100 * part) / whole).toFixed(part === 0 || part === whole ? 0 : 1)} %`);

/**
 * A time to the minute; the title has all of it.
 * @param {string | null} text RFC 3339
 * @param {string} [none]
 * @returns {HTMLElement}
 */
function moment(text, none = "never") {
  if (text === null) return make("span", { class: "soft" }, none);
  return make("time", { datetime: text, title: text, class: "number" }, stamp(new Date(text)));
}

/** @param {Date} date */
const stamp = (date) => date.toISOString().slice(0, 16).replace("T", " ");

/** @param {Date} date */
const dayOf = (date) => date.toISOString().slice(0, 10);

/**
 * A length of time, in its two largest units.
 * @param {number | null} seconds
 */
function lasting(seconds) {
  if (seconds === null) return "–";
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/**
 * A long id, cut in the middle; the title has all of it.
 * @param {string} id
 * @param {number} [room]
 */
function brief(id, room = 24) {
  if (id.length <= room) return make("code", {}, id);
  return make("code", { title: id }, `${id.slice(0, room - 8)}…${id.slice(-7)}`);
}
