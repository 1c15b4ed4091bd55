// @ts-check
// Requests over time, as bars: admitted below, denied above. The same stands beside it as a table.

/** @typedef {{ at: number, requests: number, blocked: number, paid: number }} Bar `at` is where it begins */

const HEIGHT = 190;
const LEFT = 46;
const BOTTOM = 24;
const TOP = 8;
const RIGHT = 16;

/**
 * @param {Bar[]} bars
 * @param {number} step how long each is
 * @param {number} width
 * @returns {HTMLElement}
 */
function chart(bars, step, width) {
  const most = Math.max(1, ...bars.map(({ requests }) => requests));
  const tick = tickOf(most);
  const top = Math.ceil(most / tick) * tick;
  const room = HEIGHT - TOP - BOTTOM;
  /** @param {number} value */
  const y = (value) => TOP + room * (1 - value / top);
  const each = (width - LEFT - RIGHT) / bars.length;
  const thick = Math.max(1, each * (each > 6 ? 0.72 : 0.9));
  const lines = Array.from({ length: Math.round(top / tick) + 1 }, (_, nth) => nth * tick).map((value) =>
    draw("g", {}, draw("line", { class: value === 0 ? "axis" : "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      draw("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, short(value))));
  const columns = bars.map(({ at, requests, blocked }, nth) => {
    const x = LEFT + nth * each + (each - thick) / 2;
    /** @param {string} kind @param {number} from @param {number} to */
    const part = (kind, from, to) => (to > from ? draw("rect", { class: kind, x, width: thick, y: y(to), height: y(from) - y(to) }) : null);
    return draw("g", {}, draw("title", {}, `${when(at, step)}: ${counted(requests, "request")}, ${count(blocked)} denied`),
      draw("rect", { class: "touch", x: LEFT + nth * each, width: each, y: TOP, height: room }),
      part("admitted", 0, requests - blocked), part("denied", requests - blocked, requests));
  });
  const every = Math.ceil(bars.length / Math.max(1, Math.floor((width - LEFT) / 84)));
  const marks = bars.map(({ at }, nth) => (nth % every === 0 ? draw("text", { x: LEFT + (nth + 0.5) * each, y: HEIGHT - 6, "text-anchor": "middle" }, label(at, step, bars.length)) : null));
  const height = bars.reduce((best, bar) => (bar.requests > best.requests ? bar : best));
  const says = `Requests per ${step === DAY ? "day" : "hour"}; most, ${count(height.requests)}, at ${when(height.at, step)}`;
  return make("figure", {},
    draw("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": says }, ...lines, ...columns, ...marks),
    make("figcaption", {}, make("span", { class: "key admitted" }), "admitted ", make("span", { class: "key denied" }), "denied"),
    make("details", { "data-key": "chart table" }, make("summary", { "data-key": "chart summary" }, "The same as a table"), listing("Requests over time", [
      { name: step === DAY ? "Day" : "Hour", of: ({ at }) => when(at, step) },
      { name: "Requests", number: true, of: ({ requests }) => count(requests) },
      { name: "Denied", number: true, of: ({ blocked }) => count(blocked) },
      { name: "Payments", number: true, of: ({ paid }) => count(paid) },
    ], bars.filter(({ requests, paid }) => requests + paid > 0).reverse(), "Nothing in this time.")));
}

/**
 * A round step that cuts the height in two to five.
 * @param {number} most
 */
function tickOf(most) {
  const power = 10 ** Math.floor(Math.log10(most / 3));
  const fits = [1, 2, 5, 10].map((factor) => factor * power).find((step) => most / step <= 4.5) ?? most;
  return Math.max(1, Math.round(fits));
}

/** @param {number} n */
const short = (n) => n.toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 });

/** @param {number} at @param {number} step */
const when = (at, step) => (step === DAY ? dayOf(new Date(at)) : stamp(new Date(at)));

/** @param {number} at @param {number} step @param {number} bars */
const label = (at, step, bars) => (step === DAY || bars > 48 ? when(at, DAY).slice(5) : stamp(new Date(at)).slice(11));

/**
 * Every hour or day of a time, also those of which the API has nothing to tell.
 * @param {{ hour: string, requests: number, blocked: number, paid: number }[]} hours
 * @param {number} from
 * @param {number} to
 * @param {number} step
 * @returns {Bar[]}
 */
function barsOf(hours, from, to, step) {
  const start = Math.floor(from / step) * step;
  const bars = Array.from({ length: Math.ceil((to - start) / step) }, (_, nth) => ({ at: start + nth * step, requests: 0, blocked: 0, paid: 0 }));
  for (const { hour, requests, blocked, paid } of hours) {
    const bar = bars[Math.floor((Date.parse(hour) - start) / step)];
    if (bar === undefined) continue;
    bar.requests += requests;
    bar.blocked += blocked;
    bar.paid += paid;
  }
  return bars;
}
