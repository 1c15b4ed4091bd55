// @ts-check
// All clients together: totals, requests over time, who did most, and whether a payment needs the owner.

/** The times that can be shown: by name, how many hours, and how long a bar is. */
const RANGES = { "24": { name: "Last 24 hours", step: HOUR }, "168": { name: "Last 7 days", step: HOUR }, "720": { name: "Last 30 days", step: DAY } };
/** @type {keyof typeof RANGES} */
let range = "24";

const overview = {
  title: "Overview",
  async build() {
    const input = choice(Object.entries(RANGES).map(([hours, { name }]) => [hours, name]), range);
    input.addEventListener("change", () => {
      range = /** @type {keyof typeof RANGES} */ (input.value);
      void refresh();
    });
    input.setAttribute("aria-label", "Time");
    return [make("div", { class: "tools" }, input)];
  },
  async load() {
    const to = (Math.floor(Date.now() / HOUR) + 1) * HOUR;
    const from = to - Number(range) * HOUR;
    const time = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    const [stats, top, open] = await Promise.all([ask("GET", asked("/stats", time)), ask("GET", asked("/top", { n: 10, ...time })), openPayments()]);
    const { step } = RANGES[range];
    const bars = barsOf(stats.by_hour, from, to, step);
    return [
      make("p", { class: "soft since" }, "since ", moment(time.from)),
      tiles(
        tile("Requests", count(stats.total_requests), "admitted and denied"),
        tile("Denied", count(stats.total_blocked), `${share(stats.total_blocked, stats.total_requests)} of them`),
        tile("Payments", count(stats.total_paid), "credited"),
        tile("Revenue", money(stats.revenue, ""), currency()),
        tile("Active clients", count(stats.active_clients), "called or paid"),
      ),
      needs(open),
      section(`Requests per ${step === DAY ? "day" : "hour"}`, stats.total_requests === 0
        ? make("p", { class: "empty" }, "No requests in this time. Send one through the gate and refresh in a minute: ", make("code", {}, `curl -i ${location.origin}/`))
        : chart(bars, step, Math.max(300, Math.min(1040, found("live").clientWidth - 42)))),
      section("Top clients", listing("Clients with the most requests", TOP_COLUMNS, top, "Nobody has called in this time.")),
    ];
  },
};

/** @type {Column<{ client: string, request_count: number, blocked_count: number, total_requests: number, last_request: string | null }>[]} */
const TOP_COLUMNS = [
  { name: "Client", of: ({ client }) => accountLink(client) },
  { name: "Requests", number: true, of: (row) => count(row.total_requests) },
  { name: "Admitted", number: true, of: (row) => count(row.request_count) },
  { name: "Denied", number: true, of: (row) => count(row.blocked_count) },
  { name: "Last request", of: (row) => moment(row.last_request) },
];

/** @param {Payment[]} open */
function needs(open) {
  if (open.length === 0) return make("p", { class: "notice good" }, "No payment needs you.");
  return make("p", { class: "notice warn" }, make("strong", {}, `${counted(open.length, "payment")} ${open.length === 1 ? "needs" : "need"} you: `),
    "what became of them is not certain. ", make("a", { href: "#payments", "data-key": "open payments" }, "Look at them"));
}
