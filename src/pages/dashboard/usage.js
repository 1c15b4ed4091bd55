// @ts-check
// What all accounts used and owe, for a time and by whatever columns, as a table and as CSV.

/** What is asked for. `to` is the last day. @type {{ from: string, to: string, account: string, group: string[], time: string }} */
const bill = { from: `${dayOf(new Date()).slice(0, 8)}01`, to: dayOf(new Date()), account: "", group: ["account"], time: "" };

const usage = {
  title: "Usage",
  async build() {
    const from = make("input", { type: "date", required: true, value: bill.from });
    const to = make("input", { type: "date", required: true, value: bill.to });
    const account = make("input", { type: "text", value: bill.account, autocapitalize: "off", spellcheck: "false", autocomplete: "off" });
    const time = choice([["", "no"], ["hour", "hour"], ["day", "day"], ["month", "month"]], bill.time);
    const boxes = ["account", "endpoint", "unit"].map((name) => make("input", { type: "checkbox", value: name, checked: bill.group.includes(name) }));
    const note = () => Object.assign(bill, {
      from: from.value, to: to.value, account: account.value.trim(), time: time.value,
      group: boxes.filter(({ checked }) => checked).map(({ value }) => value),
    });
    const csv = make("button", { type: "button" }, "Download CSV");
    const form = make("form", { class: "card" },
      make("div", { class: "fields" }, field("From", from), field("To, included", to), field("Account (optional)", account), field("Split by time", time)),
      make("fieldset", {}, make("legend", {}, "Grouped by"), ...boxes.map((box) => make("label", { class: "check" }, box, ` ${box.value}`))),
      make("div", { class: "buttons" }, make("button", { type: "submit", class: "main" }, "Show"), csv));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      note();
      void refresh();
    });
    csv.addEventListener("click", () => void during(csv, async () => {
      if (!form.reportValidity()) return;
      note();
      await deed(async () => {
        const text = await askText("GET", asked("/usage", billQuery()), { headers: { Accept: "text/csv" } });
        const name = `tollgate-usage-${bill.from}-to-${bill.to}.csv`;
        save(name, text);
        return make("p", {}, "Saved as ", make("code", {}, name), `, ${counted(text.split("\r\n").length - 2, "line")}.`);
      });
    }));
    return [form];
  },
  async load() {
    const list = await ask("GET", asked("/usage", { ...billQuery(), limit: shown }));
    const groups = groupedBy();
    /** @type {Column<any>[]} */
    const columns = [
      ...groups.map((name) => ({ name: name.charAt(0).toUpperCase() + name.slice(1), of: (/** @type {any} */ line) => (name === "account" ? accountLink(line.account) : name === "endpoint" ? make("code", {}, line.endpoint) : line[name]) })),
      ...Object.entries(SUMS).map(([name, member]) => ({ name, number: true, of: (/** @type {any} */ line) => quietly(line[member]) })),
    ];
    return [section(`${bill.from} to ${bill.to}`,
      make("p", { class: "soft" }, `Calls that were admitted. Money in ${currency()}.`),
      listing("Usage", columns, list.items, "Nothing was used in this time. Choose another, or fewer conditions."),
      more(list, "The CSV has all of them."))];
  },
};

/** What is added up, by the name of its column. */
const SUMS = { Calls: "calls", Quantity: "quantity", Overage: "overage_quantity", "Overage charge": "overage_charge", Paid: "paid", Credits: "credits", Owed: "owed" };

/** A number or an amount; nothing is written softly, so that something is seen. @param {number | string} value */
function quietly(value) {
  const text = typeof value === "number" ? count(value) : money(value, "");
  return text === "0" ? make("span", { class: "soft" }, text) : text;
}

const groupedBy = () => [...bill.group, bill.time].filter((name) => name !== "");

function billQuery() {
  const group_by = groupedBy().join(",") || "account";
  return { from: bill.from, to: dayOf(new Date(Date.parse(bill.to) + DAY)), account: bill.account, group_by };
}

/** @param {string} name @param {string} text */
function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  make("a", { href: url, download: name }).click();
  // Once the browser has begun to read it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
