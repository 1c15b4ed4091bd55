// @ts-check
// Payments: those whose outcome is open, with another try, and all others.

/**
 * @typedef {{ id: string, account: string, endpoint: string, state: string, method: string, network: string, currency: string | null,
 *   amount: string | null, amount_atomic: string, payer: string, recipient: string, nonce: string, transaction: string,
 *   confirmed: boolean, receipt: string, presented_at: string, updated_at: string }} Payment
 */

/** What a state means, and what follows. @type {Record<string, string>} */
const STATES = {
  settling: "It was credited on trust and is being settled now.",
  unknown: "Settling began, and nobody told how it ended. The gate asks again by itself, for a day; nothing is credited and the client is not asked to pay again.",
  held: "It may have gone through, for more than may be credited without proof. Nothing is credited until you have it tried again and it is certain.",
  settled: "It is on the chain. The credit follows by itself.",
  credited: "It was paid, and the client has what it paid for.",
  "taken-back": "It was credited first and failed then. What was credited was taken back.",
  refused: "It was refused for certain. No money moved.",
};

const payments = {
  title: "Payments",
  /** @param {string} state */
  async load(state) {
    const [open, list] = await Promise.all([openPayments(), ask("GET", asked("/payments", { state, limit: shown }))]);
    return [
      make("section", { class: "card" }, make("h2", {}, "Payments that need you"),
        make("p", { class: "soft" }, "Unknown or held. “Try again” asks the facilitator, or the chain, once more and at once. It never pays twice."),
        listing("Payments that need you", [...PAYMENT_COLUMNS, { name: "", narrow: true, of: retryButton }], open, "None. Every settlement that began has a certain outcome.")),
      make("section", { class: "card" }, make("h2", {}, "Recent payments"),
        make("p", { class: "choices" }, ...["", ...Object.keys(STATES).filter((name) => name !== "refused")].map((name) =>
          make("a", { href: `#payments${name === "" ? "" : `/${name}`}`, "data-key": `state ${name}`, "aria-current": name === state ? "true" : undefined }, name === "" ? "all" : name))),
        listing("Recent payments", PAYMENT_COLUMNS, list.items,
          state === "" ? "No payment yet. A client is offered one when its allowance is used up and its plan says over_limit: pay." : `No payment is ${state}.`),
        more(list, "Older ones are in the API: GET admin/payments, with cursor.")),
    ];
  },
};

/** Payments whose outcome is open, the last first. @returns {Promise<Payment[]>} */
async function openPayments() {
  const lists = await Promise.all(["unknown", "held"].map((state) => ask("GET", asked("/payments", { state, limit: 100 }))));
  return lists.flatMap(({ items }) => items).sort((one, other) => other.presented_at.localeCompare(one.presented_at));
}

/** @type {Column<Payment>[]} */
const PAYMENT_COLUMNS = [
  { name: "Presented", of: ({ presented_at }) => moment(presented_at) },
  { name: "Account", of: ({ account }) => accountLink(account) },
  { name: "Endpoint", of: ({ endpoint }) => make("code", {}, endpoint) },
  { name: "Amount", number: true, of: ({ amount, currency, amount_atomic }) => (amount === null ? `${amount_atomic} atomic units` : money(amount, currency)) },
  { name: "State", of: ({ state, confirmed }) => make("span", { class: `state ${state}`, title: STATES[state] }, state, state === "credited" && !confirmed ? ", unconfirmed" : null) },
  { name: "Details", of: paymentDetails },
];

/** @param {Payment} payment */
function paymentDetails(payment) {
  const { id, payer, recipient, network, method, nonce, transaction, receipt, updated_at, state } = payment;
  const facts = { Payment: id, Payer: payer, Recipient: recipient, Network: `${network} (${method})`, Nonce: nonce, Transaction: transaction || "not known", Receipt: receipt || "none", Changed: updated_at };
  return make("details", { "data-key": `payment ${id}` }, make("summary", { "data-key": `details ${id}` }, brief(transaction || id, 18)),
    make("p", { class: "soft" }, STATES[state] ?? ""),
    make("dl", { class: "facts" }, ...Object.entries(facts).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, make("code", {}, value))])));
}

/** @param {Payment} payment */
function retryButton({ id }) {
  const button = make("button", { type: "button", "data-key": `retry ${id}` }, "Try again", make("span", { class: "unseen" }, ` with payment ${id}`));
  button.addEventListener("click", () => void during(button, async () => {
    await deed(async () => {
      const { state } = await ask("POST", `/payments/${encodeURIComponent(id)}/retry`);
      const again = state === "unknown" ? " If the facilitator or the chain’s node is down, wait until it is back." : "";
      return make("p", {}, "Payment ", brief(id), " is ", make("strong", { class: `state ${state}` }, state), `. ${STATES[state] ?? ""}${again}`);
    });
  }));
  return button;
}
