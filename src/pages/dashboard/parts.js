// @ts-check
// What the views are made of: tables, forms, tiles, and how a refusal is told.

/**
 * @template R
 * @typedef {{ name: string, of: (row: R) => Child, number?: boolean, narrow?: boolean }} Column `narrow` is as wide as it must be
 */

/**
 * A table; where it would be empty, what to do first.
 * @template R
 * @param {string} caption for those who cannot see what stands above
 * @param {Column<R>[]} columns
 * @param {R[]} rows
 * @param {Node | string} empty
 * @returns {HTMLElement}
 */
function listing(caption, columns, rows, empty) {
  if (rows.length === 0) return make("p", { class: "empty" }, empty);
  /** @param {Column<R>} column */
  const kind = ({ number, narrow }) => [number && "number", narrow && "narrow"].filter(Boolean).join(" ") || undefined;
  const head = columns.map((column) => make("th", { scope: "col", role: "columnheader", class: kind(column) }, column.name));
  const body = rows.map((row) => make("tr", { role: "row" }, ...columns.map((column) =>
    make("td", { role: "cell", class: kind(column), "data-name": column.name }, make("div", {}, column.of(row))))));
  // Roles are said: on a telephone the rows are laid out as cards, which would make them lose their meaning.
  return make("table", { role: "table" },
    make("caption", { class: "unseen" }, caption),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head)),
    make("tbody", { role: "rowgroup" }, ...body));
}

/**
 * @param {string} title
 * @param {...Child} children
 */
function section(title, ...children) {
  return make("section", { class: "card" }, make("h2", {}, title), ...children);
}

/**
 * @param {string} name
 * @param {Child} value
 * @param {Child} [note]
 */
function tile(name, value, note = null) {
  return make("div", { class: "tile" }, make("dt", {}, name), make("dd", {}, value), note && make("dd", { class: "soft" }, note));
}

/** @param {...Node} all */
const tiles = (...all) => make("dl", { class: "tiles" }, ...all);

let fields = 0;

/**
 * A field of a form with its label.
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement} input
 * @param {string} [hint]
 */
function field(label, input, hint) {
  input.id = `field-${fields += 1}`;
  if (hint !== undefined) input.setAttribute("aria-describedby", `${input.id}-hint`);
  return make("div", { class: "field" },
    make("label", { for: input.id }, label),
    input,
    hint === undefined ? null : make("p", { id: `${input.id}-hint`, class: "soft hint" }, hint));
}

/**
 * A choice of one.
 * @param {[value: string, name: string][]} options
 * @param {string} [chosen]
 */
function choice(options, chosen) {
  return make("select", {}, ...options.map(([value, name]) => make("option", { value, selected: value === chosen }, name)));
}

/**
 * A form that sends an order, and tells beside its button what came of it.
 * @param {string} verb
 * @param {Child[]} inside
 * @param {() => Promise<Child>} send
 */
function orderForm(verb, inside, send) {
  const outcome = make("div", { class: "outcome", role: "status" });
  const button = make("button", { type: "submit", class: "main" }, verb);
  const form = make("form", {}, make("div", { class: "fields" }, ...inside), make("div", { class: "buttons" }, button), outcome);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void during(button, async () => {
      try {
        outcome.replaceChildren(...[await send()].filter((child) => child !== null));
      } catch (error) {
        outcome.replaceChildren(told(error));
      }
    });
  });
  return form;
}

/**
 * Does something while its button cannot be pressed again.
 * @param {HTMLButtonElement} button
 * @param {() => Promise<void>} work
 */
async function during(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  // Not `disabled`: that would take the focus away from who uses the keyboard.
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/**
 * What went wrong, and what to do about it.
 * @param {unknown} error
 * @returns {HTMLElement}
 */
function told(error) {
  if (!(error instanceof Refusal)) {
    console.error(error);
    return make("div", { class: "problem" }, make("strong", {}, "This page has a fault"), make("p", {}, String(error)));
  }
  if (error.status === 401) signOut("The token is not good any more. Sign in with the one that is.");
  const { type, requestId } = error.more;
  const todo = make("p", { hidden: true });
  void advice(error).then((text) => {
    todo.hidden = !text;
    todo.textContent = text ?? "";
  });
  return make("div", { class: "problem" },
    make("strong", {}, error.title),
    make("p", {}, error.detail),
    todo,
    requestId === undefined ? null : make("p", { class: "soft" }, "Request ", make("code", {}, requestId),
      ...(type === undefined ? [] : [" · ", make("a", { href: type }, "About this problem")])));
}

/**
 * Asks before something that cannot be undone.
 * @param {string} question
 * @param {string} what
 * @param {string} verb
 * @returns {Promise<boolean>}
 */
function confirmed(question, what, verb) {
  return new Promise((resolve) => {
    /** @param {string} value */
    const close = (value) => () => dialog.close(value);
    const dialog = make("dialog", { "aria-labelledby": "question", "aria-describedby": "what" },
      make("h2", { id: "question" }, question),
      make("p", { id: "what" }, what),
      make("div", { class: "buttons" },
        make("button", { type: "button", click: close("no") }, "Cancel"),
        make("button", { type: "button", class: "grave", click: close("yes") }, verb)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Puts new children in place of old ones. Who had the focus in them, or had opened something, has it in what took its place.
 * @param {HTMLElement} place
 * @param {Node[]} nodes
 */
function renew(place, nodes) {
  const focused = place.contains(document.activeElement) && document.activeElement instanceof HTMLElement ? document.activeElement.dataset["key"] : undefined;
  const open = new Set([...place.querySelectorAll("details[open]")].map((details) => details instanceof HTMLElement && details.dataset["key"]));
  place.replaceChildren(...nodes);
  for (const details of place.querySelectorAll("details")) details.open = details.open || open.has(details.dataset["key"] ?? "");
  if (focused === undefined) return;
  const same = [...place.querySelectorAll("[data-key]")].find((element) => element instanceof HTMLElement && element.dataset["key"] === focused);
  if (same instanceof HTMLElement) same.focus({ preventScroll: true });
}

/** How much of a list is shown. The API hands out a thousand lines at most at once. */
const FIRST = 50;
const MOST = 1000;
let shown = FIRST;

/**
 * What follows a list that goes on.
 * @param {{ next_cursor: string | null }} list
 * @param {string} rest where the rest is, when no more can be shown
 */
function more(list, rest) {
  if (list.next_cursor === null) return null;
  if (shown >= MOST) return make("p", { class: "soft" }, `These are ${count(MOST)}. ${rest}`);
  const grow = () => {
    shown = Math.min(MOST, shown * 5);
    void refresh();
  };
  return make("p", {}, make("button", { type: "button", "data-key": "more", click: grow }, "Show more"));
}

/** @param {string} id */
function accountLink(id) {
  return make("a", { href: `#accounts/${encodeURIComponent(id)}`, "data-key": `account ${id}` }, brief(id, 28));
}
