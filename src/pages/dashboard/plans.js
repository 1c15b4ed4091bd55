// @ts-check
// The plans in force, in words. They are changed by file: through the API or the tool.

const plans = {
  title: "Plans",
  async load() {
    const { items } = await ask("GET", "/plans?limit=1000");
    if (items.length === 0) return [make("p", { class: "empty" }, "No plans. Put them into PLANS in wrangler.toml, or send a plan file: tollgate plans apply FILE --url URL")];
    return items.map((/** @type {any} */ { name, title, endpoints, is_default }) => make("section", { class: "card" },
      make("h2", {}, title, title === name ? null : make("code", { class: "soft" }, ` ${name}`), is_default ? make("span", { class: "tag" }, "default") : null),
      listing(`Endpoints of ${title}`, PLAN_COLUMNS, Object.entries(endpoints ?? {}), "It lists no endpoint: nothing is admitted."),
      make("details", { "data-key": `plan ${name}` }, make("summary", { "data-key": `show ${name}` }, "As it is written"),
        make("pre", { tabindex: "0", role: "region", "aria-label": `The plan ${title} as JSON` }, JSON.stringify(endpoints, null, 2)))));
  },
};

/** @type {Column<[string, any]>[]} */
const PLAN_COLUMNS = [
  { name: "Endpoint", of: ([endpoint]) => make("code", {}, endpoint) },
  { name: "Limits", of: ([, policy]) => make("span", {}, ...limitsInWords(policy).flatMap((words, nth) => (nth === 0 ? [words] : [make("br"), words]))) },
  { name: "Beyond them", of: ([, policy]) => (policy.payment === "always" ? "each call is paid" : policy.over_limit ?? "block") },
  { name: "Price", number: true, of: ([, { price, refill }]) => (price === undefined ? "" : `${money(String(price))}${refill === undefined ? "" : ` for ${refill}`}`) },
];

/** @param {any} policy @returns {string[]} */
function limitsInWords(policy) {
  const { bucket, fixed_windows = [], sliding_windows = [], quotas = [], max_concurrent, credits = {}, cost } = policy;
  const unit = (/** @type {any} */ { unit_type, unit_kind }) => unit_type ?? unit_kind ?? "request";
  const words = [
    bucket && (bucket.rpm === undefined ? `${bucket.capacity} at once, ${bucket.refill_rate} more each second` : `${bucket.rpm} a minute, ${bucket.burst} at once`),
    ...fixed_windows.map((/** @type {any} */ window) => `${window.limit} × ${unit(window)} each ${window.window}`),
    ...sliding_windows.map((/** @type {any} */ window) => `${window.limit} × ${unit(window)} in any ${window.window}`),
    ...quotas.map((/** @type {any} */ quota) => `${quota.limit} × ${unit(quota)} a ${quota.period}${quota.over_quota === undefined ? "" : `, then ${quota.over_quota}`}`),
    max_concurrent && `${max_concurrent} at the same time`,
    ...Object.entries(credits).map(([name, amount]) => `${amount} credits for each ${name}`),
    cost && `a request takes ${cost}`,
  ].filter(Boolean);
  return words.length === 0 ? ["none"] : words;
}
