// @ts-check
// Signs in and out, shows the view that the address names, and keeps it fresh while somebody looks at it.

/**
 * @typedef {{ title: string, build?: (subject: string) => Promise<Node[]>, load: (subject: string) => Promise<Node[]> }} View
 *   `build` makes what stays, such as forms; `load` makes what is new with each refresh. The subject is what stands behind the
 *   view's name in the address.
 */

/** @type {Record<string, View>} */
const VIEWS = { overview, payments, accounts, keys, plans, usage, audit };
const EVERY = 30_000;

/** What is shown: its name, its subject, and how often that changed. */
let viewed = "overview";
let subject = "";
let visit = 0;
let turn = 0;
let freshAt = 0;

/** @returns {View} */
const view = () => VIEWS[viewed] ?? overview;

/** Shows the view that the address names. */
async function show() {
  const [wanted = "", rest = ""] = location.hash.slice(1).split(/\/(.*)/);
  viewed = Object.hasOwn(VIEWS, wanted) ? wanted : "overview";
  try {
    subject = decodeURIComponent(rest);
  } catch {
    subject = rest;
  }
  const mine = (visit += 1);
  shown = FIRST;
  found("heading").replaceChildren(viewed === "accounts" && subject !== "" ? subject : view().title);
  document.title = `${view().title} · Tollgate`;
  for (const link of found("views").querySelectorAll("a")) {
    link.setAttribute("aria-current", link.hash === `#${viewed}` ? "page" : "false");
    if (link.hash === `#${viewed}`) link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  for (const place of ["trouble", "said", "fixed"]) found(place).replaceChildren();
  found("live").replaceChildren(make("p", { class: "soft waiting" }, "Loading…"));
  try {
    const built = await view().build?.(subject) ?? [];
    if (mine !== visit) return;
    found("fixed").replaceChildren(...built);
  } catch (error) {
    if (mine === visit) found("trouble").replaceChildren(told(error));
  }
  if (mine === visit) await refresh();
}

/** Asks for what is shown again. What was asked for earlier, and comes later, is dropped. */
async function refresh() {
  const [mine, at] = [(turn += 1), visit];
  const live = found("live");
  live.setAttribute("aria-busy", "true");
  try {
    const nodes = await view().load(subject);
    if (mine !== turn || at !== visit) return;
    renew(live, nodes);
    found("trouble").replaceChildren();
    freshAt = Date.now();
    found("updated").textContent = `Updated ${new Date(freshAt).toISOString().slice(11, 19)}`;
  } catch (error) {
    if (mine !== turn || at !== visit) return;
    found("trouble").replaceChildren(told(error));
    // What is shown is old: the time says how old. Where nothing is shown, nothing more will come by itself.
    live.querySelector(".waiting")?.remove();
  } finally {
    if (mine === turn) live.removeAttribute("aria-busy");
  }
}

/**
 * Does something that changes what is shown, and tells what came of it above.
 * @param {() => Promise<Node>} work
 */
async function deed(work) {
  const at = visit;
  const said = found("said");
  try {
    const outcome = await work();
    if (at !== visit) return;
    said.replaceChildren(make("div", { class: "notice" }, outcome));
    await refresh();
  } catch (error) {
    if (at === visit) said.replaceChildren(told(error));
  }
  said.scrollIntoView({ block: "nearest" });
}

function enter() {
  found("door").hidden = true;
  found("app").hidden = false;
  void show();
  found("heading").focus();
}

/** @param {string} [why] */
function signOut(why) {
  forgetToken();
  visit += 1;
  document.querySelector("dialog")?.close();
  for (const place of ["trouble", "said", "fixed", "live", "updated"]) found(place).replaceChildren();
  found("app").hidden = true;
  found("door").hidden = false;
  found("refused").replaceChildren(...(why === undefined ? [] : [make("div", { class: "problem" }, why)]));
  found("token", HTMLInputElement).focus();
}

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  const input = found("token", HTMLInputElement);
  const given = input.value.trim();
  const refused = found("refused");
  refused.replaceChildren(make("p", { class: "soft" }, "Asking the gate…"));
  try {
    // A field of a request holds nothing else; no token that is set does, either.
    if (!/^[\x21-\x7e]+$/.test(given)) throw new Refusal(401, "", "");
    await ask("GET", "/default-plan", { token: given });
    keepToken(given);
    input.value = "";
    refused.replaceChildren();
    enter();
  } catch (error) {
    const isWrong = error instanceof Refusal && error.status === 401;
    refused.replaceChildren(isWrong
      ? make("div", { class: "problem" }, make("strong", {}, "This is not the admin token."), make("p", {}, "Check that it is the ADMIN_TOKEN of this gate, and whole. After ten wrong ones this address has to wait."))
      : told(error));
    input.select();
  }
}

/** Refreshes by itself, but not under somebody's hands: while text is selected, or a question is open. Nor twice at once. */
function refreshIfSeen() {
  const isRead = !(getSelection()?.isCollapsed ?? true) || document.querySelector("dialog") !== null;
  const isAsking = found("live").hasAttribute("aria-busy");
  if (found("app").hidden || document.hidden || isRead || isAsking) return;
  if (Date.now() - freshAt >= EVERY) void refresh();
}

for (const place of document.querySelectorAll(".host")) place.textContent = location.host;
found("views").append(...Object.entries(VIEWS).map(([name, { title }]) => make("a", { href: `#${name}` }, title)));
found("refresh").addEventListener("click", () => void refresh());
found("sign-out").addEventListener("click", () => signOut());
found("sign-in").addEventListener("submit", (event) => void signIn(/** @type {SubmitEvent} */ (event)));
found("skip").addEventListener("click", (event) => {
  event.preventDefault();
  found("content").focus();
});
addEventListener("hashchange", () => {
  if (token() === null) return;
  void show();
  found("heading").focus();
});
document.addEventListener("visibilitychange", refreshIfSeen);
setInterval(refreshIfSeen, EVERY / 6);
if (token() === null) found("token").focus();
else enter();
