// @ts-check
// API keys: made, shown once, and revoked.

/** @typedef {{ id: string, account: string, label: string, scopes: string[], created_at: string, revoked_at: string | null, last_used_at: string | null }} Key */

const keys = {
  title: "Keys",
  async build() {
    const { items } = await ask("GET", "/plans?limit=1000");
    const account = make("input", { type: "text", required: true, maxlength: 64, autocapitalize: "off", spellcheck: "false", autocomplete: "off" });
    const label = make("input", { type: "text", maxlength: 256, autocomplete: "off" });
    const plan = choice([["", "leave as it is"], ...items.map((/** @type {any} */ { name }) => [name, name])]);
    const decide = make("input", { type: "checkbox" });
    return [make("section", { class: "card" }, make("h2", {}, "Create a key"), orderForm("Create", [
      field("Account", account, "A name, such as acme. Keys of one account share its limits."),
      field("Label (optional)", label, "What tells it from its others, such as ci."),
      field("Plan of the account", plan),
      make("label", { class: "check" }, decide, " May ask for decisions (scope ", make("code", {}, "decide"), ")"),
    ], async () => {
      const body = { account: account.value, label: label.value, ...(plan.value !== "" && { plan: plan.value }), scopes: decide.checked ? ["decide"] : [] };
      const made = await ask("POST", "/keys", { body });
      account.form?.reset();
      void refresh();
      return newKey(made);
    }))];
  },
  async load() {
    const list = await ask("GET", asked("/keys", { limit: shown }));
    return [section("All keys", listing("All keys", [
      { name: "Account", of: ({ account }) => accountLink(`key:${account}`) },
      ...KEY_COLUMNS,
    ], list.items, "None yet. Create the first above, and give it to a client: it sends the key as Authorization: Bearer tg_live_…"),
    more(list, "The rest is in the API: GET admin/keys, with cursor."))];
  },
};

/** @type {Column<Key>[]} */
const KEY_COLUMNS = [
  { name: "Label", of: ({ label, id }) => make("span", {}, label === "" ? make("span", { class: "soft" }, "no label") : label, make("br"), make("code", { class: "soft" }, id)) },
  { name: "May", of: ({ scopes }) => ["call", ...scopes].join(", ") },
  { name: "Created", of: ({ created_at }) => moment(created_at) },
  { name: "Last used", of: ({ last_used_at }) => moment(last_used_at) },
  { name: "State", narrow: true, of: (key) => (key.revoked_at === null ? revokeButton(key) : make("span", { class: "soft" }, "revoked ", moment(key.revoked_at))) },
];

/** @param {{ key: string, account: string }} made */
function newKey({ key, account }) {
  const shownKey = make("input", { type: "text", readonly: true, value: key, "aria-label": "The new key", class: "secret" });
  const copied = make("span", { role: "status", class: "soft" });
  const copy = make("button", { type: "button", click: () => void copyKey(shownKey, copied) }, "Copy");
  return make("div", { class: "notice good" },
    make("p", {}, make("strong", {}, "The new key of ", account, "."), " It is shown this once: what the gate keeps is its hash."),
    make("div", { class: "fields" }, shownKey, copy, copied));
}

/** @param {HTMLInputElement} input @param {HTMLElement} copied */
async function copyKey(input, copied) {
  input.select();
  try {
    await navigator.clipboard.writeText(input.value);
    copied.textContent = "Copied.";
  } catch {
    copied.textContent = "This browser does not let a page copy here. It is selected: copy it with the keyboard.";
  }
}

/** @param {Key} key */
function revokeButton({ id, account, label }) {
  const button = make("button", { type: "button", class: "grave", "data-key": `revoke ${id}` }, "Revoke", make("span", { class: "unseen" }, ` key ${label || id} of ${account}`));
  button.addEventListener("click", () => void during(button, async () => {
    const sure = await confirmed("Revoke this key?", `${label || id}, of the account ${account}. From then on whoever brings it is refused. This cannot be undone; what it paid for stays the account’s.`, "Revoke");
    if (!sure) return;
    await deed(async () => {
      await ask("DELETE", `/keys/${encodeURIComponent(id)}`);
      return make("p", {}, "The key ", make("strong", {}, label || id), ` of ${account} is revoked.`);
    });
  }));
  return button;
}
