// @ts-check
// Accounts: those that the owner gave something, and any one by its id, with its plan, limits, credits, keys and payments.

const accounts = {
  title: "Accounts",
  /** @param {string} id */
  async build(id) {
    return id === "" ? [await search()] : await accountForms(id);
  },
  /** @param {string} id */
  async load(id) {
    return id === "" ? await accountList() : await oneAccount(id);
  },
};

/** A form that leads to an account. */
async function search() {
  const input = make("input", { type: "text", required: true, autocapitalize: "off", spellcheck: "false", autocomplete: "off", maxlength: 300 });
  const form = make("form", { class: "card" }, make("div", { class: "fields" },
    field("Account id", input, "key:NAME, wallet:0x…, session:… or ip:ADDRESS (IPv6 by its /64). Every client has one, known or not."),
    make("button", { type: "submit", class: "main" }, "Show")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = `#accounts/${encodeURIComponent(input.value.trim())}`;
  });
  return form;
}

async function accountList() {
  const list = await ask("GET", asked("/accounts", { limit: shown }));
  return [section("Accounts with a plan or a key", listing("Accounts with a plan or a key", /** @type {Column<any>[]} */ ([
    { name: "Account", of: ({ account }) => accountLink(account) },
    { name: "Plan of its own", of: ({ plan }) => plan ?? make("span", { class: "soft" }, "none: the default of its kind") },
    { name: "Since", of: ({ created_at }) => moment(created_at) },
  ]), list.items, make("span", {}, "None yet. ", make("a", { href: "#keys" }, "Create a key"), " for a client, or look up any account above and give it a plan.")),
  more(list, "Look up others by their ids."))];
}

/** @param {string} id */
async function accountForms(id) {
  const { items } = await ask("GET", "/plans?limit=1000");
  const plan = choice([["", "the default of its kind"], ...items.map((/** @type {any} */ { name }) => [name, name])]);
  const amount = make("input", { type: "text", inputmode: "decimal", required: true, pattern: "[0-9][0-9_]*([.][0-9]{1,6})?", size: 10, autocomplete: "off" });
  const expiry = make("input", { type: "date", min: dayOf(new Date()) });
  const note = make("input", { type: "text", maxlength: 200, autocomplete: "off" });
  // One grant, however often it has to be sent: renewed only when it was made.
  let once = randomName();
  return [
    make("p", {}, make("a", { href: "#accounts" }, "← All accounts")),
    make("div", { class: "pair" },
      make("details", { class: "card" }, make("summary", {}, "Give a plan"), orderForm("Give", [field("Plan", plan)], async () => {
        const given = await ask("PUT", `/accounts/${encodeURIComponent(id)}/plan`, { body: { name: plan.value === "" ? null : plan.value } });
        await refresh();
        return make("p", {}, "Its plan is ", make("strong", {}, given.plan), " now.");
      })),
      make("details", { class: "card" }, make("summary", {}, "Grant credits"), orderForm("Grant", [
        field("Amount", amount), field("Good until (optional)", expiry, "To the end of that day."), field("Note (optional)", note),
      ], async () => {
        const expires = expiry.value === "" ? {} : { expires_at: new Date(Date.parse(expiry.value) + DAY).toISOString() };
        const metadata = note.value === "" ? {} : { metadata: { note: note.value } };
        const body = { amount: amount.value, ...expires, ...metadata };
        const block = await ask("POST", `/accounts/${encodeURIComponent(id)}/credits`, { body, headers: { "Idempotency-Key": once } });
        once = randomName();
        amount.form?.reset();
        await refresh();
        return make("p", {}, make("strong", {}, money(block.amount, "")), " granted, as ", make("code", {}, block.id), ".");
      })),
    ),
  ];
}

/** @param {string} id */
async function oneAccount(id) {
  const at = `/accounts/${encodeURIComponent(id)}`;
  const [account, credits, paid] = await Promise.all([ask("GET", at), ask("GET", `${at}/credits?limit=1000`), ask("GET", asked("/payments", { account: id, limit: shown }))]);
  const limits = account.endpoints.flatMap((/** @type {any} */ { endpoint, limits, capacity }) =>
    (limits.length === 0 ? [{}] : limits).map((/** @type {any} */ limit) => ({ endpoint, ...limit, ...(limit.name === "bucket" && { limit: capacity }) })));
  return [
    tiles(
      tile("Plan", account.plan, account.own_plan === null ? "the default of its kind" : "its own"),
      tile("Credits", money(credits.balance, ""), credits.debt === "0" ? "prepaid, good now" : `${money(credits.debt, "")} owed besides`),
      tile("Keys", count(account.keys.filter((/** @type {Key} */ { revoked_at }) => revoked_at === null).length), "good now"),
      tile("Known since", account.created_at === null ? "–" : dayOf(new Date(account.created_at)), account.created_at === null ? "you gave it nothing yet" : "by a plan or a key"),
    ),
    section("Limits", listing("Limits", LIMIT_COLUMNS, limits, "Its plan lists no endpoint: nothing is admitted.")),
    section("Blocks of credits", listing("Blocks of credits", BLOCK_COLUMNS, credits.items.reverse(), "None. Grant some above.")),
    section("Keys", listing("Keys of this account", KEY_COLUMNS, account.keys, "None.")),
    section("Payments", listing("Payments of this account", PAYMENT_COLUMNS.filter(({ name }) => name !== "Account"), paid.items, "It has paid for nothing."), more(paid, "")),
  ];
}

/** @type {Column<any>[]} */
const LIMIT_COLUMNS = [
  { name: "Endpoint", of: ({ endpoint }) => make("code", {}, endpoint) },
  { name: "Limit", of: ({ name, limit }) => (limit === undefined ? make("span", { class: "soft" }, "no limit") : name) },
  { name: "Left", number: true, of: ({ limit, remaining, unit }) => (limit === undefined ? "" : make("span", {}, `${count(remaining)} of ${count(limit)} ${unit}`, gauge(remaining, limit))) },
  { name: "Whole again in", number: true, of: ({ limit, reset_after }) => (limit === undefined ? "" : reset_after ? lasting(reset_after) : "whole") },
];

/** @param {number} left @param {number} whole */
function gauge(left, whole) {
  return draw("svg", { class: "gauge", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    draw("rect", { class: "all", width: 100, height: 6 }),
    draw("rect", { class: left === 0 ? "denied" : "admitted", width: whole === 0 ? 0 : Math.min(100, (100 * left) / whole), height: 6 }));
}

/** @type {Column<any>[]} */
const BLOCK_COLUMNS = [
  { name: "Granted", of: ({ created_at }) => moment(created_at) },
  { name: "Left", number: true, of: ({ remaining, amount }) => `${money(remaining, "")} of ${money(amount, "")}` },
  { name: "Good until", of: ({ expires_at }) => moment(expires_at, "it is spent") },
  { name: "Block", of: ({ id }) => make("code", {}, id) },
  { name: "About it", of: ({ metadata }) => (Object.keys(metadata).length === 0 ? "" : metadata.note ?? make("code", {}, JSON.stringify(metadata))) },
];

/** A name that nobody else has. Also a page without TLS has this source of randomness. */
const randomName = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
