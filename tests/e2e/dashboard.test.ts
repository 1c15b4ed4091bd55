// The owner's dashboard in a real browser, before a real gate: what it shows is what the owner's API says, what clients chose
// stays text, and everything in it can be done with the keyboard, on a telephone, and in the dark.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { poor, problem, served, unavailable } from "./rig/answers.ts";
import { startBrowser } from "./rig/browser.ts";
import type { Browser, Look, Visit } from "./rig/browser.ts";
import { headerV2, offerV2, payingV2, signV2 } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { answer, forwardThenCut } from "./rig/faulty_facilitator.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN, HOUR, scratch } from "./rig/limits.ts";
import { bearing, issue, order, ordered } from "./rig/owner.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

/** What a client may call itself, and a key be called: HTML that would show itself if it became any. */
const HOSTILE = "<img src=x onerror=\"document.title='taken'\">";
const VIEWS = ["overview", "payments", "accounts", "keys", "plans", "usage", "audit"];
/** Chromium's note of an answer that a test asks for. */
const REFUSED = /^Failed to load resource: the server responded with a status of 4\d\d/;

let world: World;
let gate: Gate;
let browser: Browser;

const bucket = { bucket: { capacity: 4, refill_rate: 0.001 }, over_limit: "pay", price: "0.001" };
const PLANS = {
  free: { name: "Free", endpoints: { "*": bucket } },
  team: {
    name: "Team",
    endpoints: {
      "GET /cpu": { bucket: { rpm: 600, burst: 20 }, max_concurrent: 4, over_limit: "queue" },
      "/v1/*": { fixed_windows: [{ window: "60s", limit: 40_000, unit_type: "token" }], quotas: [{ period: "month", limit: 500, over_quota: "overage", overage_price: "0.002" }] },
      "POST /v1/premium": { payment: "always", price: "0.01" },
      "*": bucket,
    },
  },
};

before(async () => {
  world = await startWorld();
  // A chain that cannot be asked leaves doubts open.
  gate = await world.gate({ plans: PLANS, payment: { rpc: "http://127.0.0.1:9", settle_timeout: "2s" }, secrets: { ADMIN_TOKEN }, persist: await scratch() });
  browser = await startBrowser();
});

after(async () => await world.stop());

/** A day of usage, as the objects of accounts write it; a key, an account with a plan, and a payment. */
async function aDay(): Promise<void> {
  await issue(gate, HOSTILE, { label: HOSTILE, plan: "team" });
  await served(await payingV2((await poor(gate)).client, await world.chain.wallet())(gate.at("/cpu")));
  const now = Math.floor(Date.now() / HOUR);
  for (let hour = 0; hour < 24; hour += 1) {
    const calls = [40, 22, 13, 8, 4, 5, 9, 20, 60, 110, 128, 120, 95, 104, 133, 141, 122, 87, 66, 70, 58, 61, 52, 44][hour]!;
    for (const [account, part] of [[`key:${HOSTILE}`, 0.5], ["wallet:0xa1b2c3d4e5f60718293a4b5c6d7e8f9001122334", 0.3], ["ip:2001:db8:0:7::/64", 0.2]] as const) {
      await gate.ledger(
        "INSERT INTO usage (account, endpoint, hour, incarnation, revision, calls, blocked, payments, paid, last_request) VALUES (?, 'GET /cpu', ?, '0123456789abcdef', 1, ?, ?, ?, ?, ?)",
        account, (now - 23 + hour) * 3600, Math.round(calls * part), Math.round(calls * part * 0.2), hour % 3, String(1000 * (hour % 3)), (now - 23 + hour) * HOUR,
      );
    }
  }
}

/** The dashboard, signed in. */
async function opened(view = "overview", look: Look = {}): Promise<Visit> {
  const visit = await browser.visit(gate, `/_tollgate/dashboard#${view}`, look);
  await visit.page.getByLabel("Admin token").fill(ADMIN_TOKEN);
  await visit.page.keyboard.press("Enter");
  await loaded(visit);
  return visit;
}

async function loaded({ page }: Visit): Promise<void> {
  await page.locator("#live:not([aria-busy]) > :not(.waiting)").first().waitFor();
}

/** Goes to a view, or to what stands behind its name. */
async function go(visit: Visit, view: string): Promise<void> {
  const [name, subject] = view.split("/");
  await visit.page.evaluate(`location.hash = ${JSON.stringify(view)}`);
  await visit.page.locator("h1").getByText(subject === undefined ? new RegExp(`^${name}$`, "i") : decodeURIComponent(subject), { exact: true }).waitFor();
  await loaded(visit);
}

/** What the API answers the page meanwhile. */
async function heard(visit: Visit, path: string, meanwhile: () => Promise<unknown>): Promise<{ text: string; url: URL }> {
  const [response] = await Promise.all([visit.page.waitForResponse((response) => response.url().includes(`/admin${path}`)), meanwhile()]);
  await loaded(visit);
  return { text: await response.text(), url: new URL(response.url()) };
}

test("a gate that nobody has called says what to do first", async () => {
  const visit = await opened();
  for (const [view, first] of [["overview", `curl -i ${gate.url}/`], ["payments", "No payment yet."], ["accounts", "Create a key"], ["keys", "Create the first above"], ["usage", "Nothing was used"], ["audit", "Nobody has changed anything yet."]] as const) {
    await go(visit, view);
    await visit.page.locator("#live").getByText(first).waitFor();
    await visit.fine();
  }
  await visit.close();
  await aDay();
});

for (const [name, look] of Object.entries({ wide: {}, "dark telephone": { width: 360, height: 740, scheme: "dark" } } satisfies Record<string, Look>)) {
  test(`every page has room, its colours, names as text, and no fault: ${name}`, async () => {
    const visit = await browser.visit(gate, "/_tollgate/problems/rate-limited", look);
    const ground = "scheme" in look ? "rgb(20, 22, 26)" : "rgb(251, 250, 247)";
    assert.equal(await visit.page.evaluate("getComputedStyle(document.body).backgroundColor"), ground);
    await visit.fine();
    await visit.page.goto(gate.at("/_tollgate/dashboard"));
    assert.equal(await visit.page.evaluate("getComputedStyle(document.body).backgroundColor"), ground);
    await visit.shot(`door-${name}`);
    await visit.fine();
    await visit.page.getByLabel("Admin token").fill(ADMIN_TOKEN);
    await visit.page.keyboard.press("Enter");
    for (const view of [...VIEWS, `accounts/${encodeURIComponent(`key:${HOSTILE}`)}`]) {
      await go(visit, view);
      await visit.shot(`${view.replaceAll(/\W.*/g, view.includes("/") ? "-one" : "")}-${name}`);
      assert.equal(await visit.page.locator("#app img").count(), 0, "what clients and owners call themselves is text");
      assert.match(await visit.page.title(), / · Tollgate$/);
      await visit.fine();
    }
    await visit.page.getByRole("cell", { name: HOSTILE }).first().waitFor();
    await visit.close();
  });
}

test("the page answers as the gate's own endpoints do, and nobody keeps it", async () => {
  const client = gate.client();
  const page = await served(await client("/_tollgate/dashboard"));
  const fields = Object.fromEntries(["content-type", "cache-control", "x-content-type-options", "referrer-policy", "x-robots-tag"].map((name) => [name, page.headers.get(name)]));
  assert.deepEqual(fields, {
    "content-type": "text/html; charset=utf-8", "cache-control": "no-store", "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow",
  });
  assert.match(page.headers.get("content-security-policy")!, /^default-src 'none'; style-src 'sha256-[^;]+; script-src 'sha256-[^;]+; connect-src 'self'; /);
  const head = await served(await client("/_tollgate/dashboard", { method: "HEAD" }));
  assert.equal(await head.text(), "");
  const posted = await client("/_tollgate/dashboard", { method: "POST" });
  assert.equal(posted.headers.get("allow"), "GET, HEAD");
  await problem(posted, 405, "method-not-allowed");
});

test("a wrong token is told plainly; the right one stays in the tab, and out of every address, until somebody signs out", async () => {
  const visit = await browser.visit(gate, "/_tollgate/dashboard", { expected: REFUSED });
  const { page } = visit;
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.keyboard.type("wrong, and with a space");
  await page.keyboard.press("Enter");
  await page.getByText("This is not the admin token.").waitFor();
  await page.keyboard.type("not-the-admin-token");
  await page.keyboard.press("Enter");
  await eventually("the gate was asked", async () => asked.length > 0 ? true : undefined);
  await page.getByText("This is not the admin token.").waitFor();
  await page.keyboard.type(ADMIN_TOKEN);
  await page.keyboard.press("Enter");
  await loaded(visit);
  await page.reload();
  await loaded(visit);
  assert.equal(await page.evaluate("localStorage.length + document.cookie.length"), 0);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Admin token").waitFor();
  assert.equal(await page.evaluate("sessionStorage.length"), 0);
  assert.equal(await page.locator("#live").textContent(), "");
  assert.deepEqual(asked.filter((url) => url.includes(ADMIN_TOKEN)), []);
  await page.keyboard.type(ADMIN_TOKEN);
  await page.keyboard.press("Enter");
  await loaded(visit);
  // The owner replaced the secret meanwhile.
  await page.evaluate("sessionStorage.setItem('tollgate-admin-token', 'the-token-of-yesterday')");
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByText("The token is not good any more.").waitFor();
  await visit.fine();
  await visit.close();
});

/** The cells of a table, row by row, without its head. */
async function cells(visit: Visit, name: string): Promise<string[][]> {
  const rows = await visit.page.getByRole("table", { name }).getByRole("row").allInnerTexts();
  return rows.slice(1).map((row) => row.split("\t").map((cell) => cell.trim().replaceAll(",", "")));
}

/** What a tile shows. */
const tile = (visit: Visit, name: string) => visit.page.locator(".tile", { has: visit.page.getByText(name, { exact: true }) }).locator("dd").first();

test("the totals are the API's, for each time, and the chart says the same as its table", async () => {
  const visit = await opened();
  const { page } = visit;
  for (const [hours, name] of [[24, "Last 24 hours"], [168, "Last 7 days"], [720, "Last 30 days"]] as const) {
    await page.getByLabel("Time").selectOption(name);
    const { text, url } = await heard(visit, "/stats", async () => await page.getByRole("button", { name: "Refresh" }).click());
    const [from, to] = ["from", "to"].map((end) => Date.parse(url.searchParams.get(end)!)) as [number, number];
    assert.deepEqual([from % HOUR, to - from], [0, hours * HOUR]);
    assert.ok(to > Date.now() - HOUR);
    const stats = JSON.parse(text) as Table;
    for (const [tileName, value] of [["Requests", stats["total_requests"]], ["Denied", stats["total_blocked"]], ["Payments", stats["total_paid"]], ["Revenue", stats["revenue"]], ["Active clients", stats["active_clients"]]]) {
      assert.equal((await tile(visit, tileName).textContent())!.replaceAll(",", ""), String(value), tileName);
    }
    await page.getByText("The same as a table").click();
    const bars = await cells(visit, "Requests over time");
    assert.equal(bars.reduce((sum, [, requests]) => sum + Number(requests), 0), stats["total_requests"]);
    await page.getByText("The same as a table").click();
  }
  assert.match((await page.locator("svg[role=img]").getAttribute("aria-label"))!, /^Requests per day; most, [\d,]+, at \d{4}-/);
  const top = JSON.parse((await heard(visit, "/top", async () => await page.getByRole("button", { name: "Refresh" }).click())).text) as Table[];
  const shown = await cells(visit, "Clients with the most requests");
  assert.deepEqual(shown.map(([, requests]) => Number(requests)), top.map((row) => row["total_requests"]));
  await visit.fine();
  await visit.close();
});

test("a refusal that says a hostile name again says it as text", async () => {
  const visit = await opened("accounts", { expected: REFUSED });
  await visit.page.getByLabel("Account id").fill(HOSTILE);
  await visit.page.keyboard.press("Enter");
  await visit.page.getByRole("alert").getByText(`\`${HOSTILE}\` is not an account id`).waitFor();
  assert.equal(await visit.page.locator("#app img").count(), 0);
  await visit.fine();
  await visit.close();
});

test("a payment of unknown outcome is shown to the owner, who has it tried again until it is certain", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  world.facilitator.next("settle", forwardThenCut);
  await unavailable(await client("/cpu", { headers: headerV2(await signV2(wallet, offerV2(denied))) }));
  const id = await eventually("the owner sees it", async () => (await ordered(gate, "GET", "/payments?state=unknown"))["items"][0]?.id as string | undefined);
  const visit = await opened();
  const { page } = visit;
  await page.getByText("1 payment needs you:").waitFor();
  await page.getByRole("link", { name: "Look at them" }).click();
  await page.getByRole("button", { name: `Try again with payment ${id}` }).click();
  await page.getByText(/^Payment .* is unknown\./).waitFor();
  await loaded(visit);
  await visit.shot("payment-unknown");
  world.facilitator.always("settle", answer(200, { success: true, transaction: `0x${"ab".repeat(32)}`, network: "eip155:84532", payer: wallet.address }));
  await page.getByRole("button", { name: `Try again with payment ${id}` }).click();
  await page.getByText(/^Payment .* is credited\./).waitFor();
  assert.equal((await ordered(gate, "GET", `/payments/${id}`))["state"], "credited");
  await page.getByText("None. Every settlement that began has a certain outcome.").waitFor();
  await world.facilitator.heal();
  await served(await client("/cpu"));
  await visit.fine();
  await visit.close();
});

test("with the keyboard alone a key is made, shown once, used, and revoked after a question", async () => {
  const visit = await opened("keys");
  const { page } = visit;
  const keys = page.keyboard;
  await page.getByLabel("Account", { exact: true }).focus();
  await keys.type("keyboard");
  await keys.press("Tab");
  await keys.type("by hand");
  await keys.press("Enter");
  const made = await page.getByLabel("The new key").inputValue();
  assert.match(made, /^tg_live_/);
  const client = bearing(gate.client(), made);
  await served(await client("/cpu"));
  await page.getByRole("cell", { name: /^by hand/ }).waitFor();
  await visit.shot("key-made");
  await page.getByRole("button", { name: "Copy" }).focus();
  await keys.press("Enter");
  await page.getByText(/Copied|selected/).waitFor();
  const revoke = page.getByRole("button", { name: "Revoke key by hand of keyboard" });
  await revoke.focus();
  await keys.press("Enter");
  await visit.shot("key-question");
  await keys.press("Escape");
  await served(await client("/cpu"));
  // The focus is back where it was.
  await page.locator("[data-key^=revoke]:focus").waitFor();
  await keys.press("Enter");
  await keys.press("Tab");
  await keys.press("Enter");
  await page.getByText("The key by hand of keyboard is revoked.").waitFor();
  await problem(await client("/cpu"), 401, "unknown-key");
  await page.reload();
  await loaded(visit);
  assert.equal((await page.content()).includes(made), false, "a key is shown once");
  await visit.fine();
  await visit.close();
});

test("from the first key press on, every view can be reached without a mouse", async () => {
  const visit = await browser.visit(gate, "/_tollgate/dashboard");
  const { page } = visit;
  await page.keyboard.type(ADMIN_TOKEN);
  await page.keyboard.press("Enter");
  await loaded(visit);
  const seen: string[] = [];
  for (let presses = 0; presses < 40 && seen.length < VIEWS.length; presses += 1) {
    await page.keyboard.press(seen.length === 0 && presses < 9 ? "Shift+Tab" : "Tab");
    const name = await page.evaluate("document.activeElement.closest('nav') && document.activeElement.hash.slice(1)") as string | null;
    if (name === null || seen.includes(name) || name !== VIEWS[seen.length]) continue;
    await page.keyboard.press("Enter");
    // Who cannot see is told where they are.
    await page.locator("h1:focus").waitFor();
    await loaded(visit);
    await page.locator(`nav a[href="#${name}"]`).focus();
    seen.push(name);
  }
  assert.deepEqual(seen, VIEWS);
  await visit.fine();
  await visit.close();
});

test("an account is given a plan and credits, once however often the grant is sent", async () => {
  const visit = await opened(`accounts/${encodeURIComponent("key:granted")}`);
  const { page } = visit;
  const at = `/accounts/${encodeURIComponent("key:granted")}`;
  await page.getByText("Give a plan").click();
  await page.getByLabel("Plan", { exact: true }).selectOption("team");
  await page.getByRole("button", { name: "Give" }).click();
  await page.getByText("Its plan is team now.").waitFor();
  assert.equal(await tile(visit, "Plan").textContent(), "team");
  await page.getByText("Grant credits").click();
  await page.getByLabel("Amount").fill("12.5");
  await page.getByLabel("Note (optional)").fill(HOSTILE);
  // The gate does it, and the answer is lost on its way.
  await page.route("**/credits", async (route) => {
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  await page.getByRole("button", { name: "Grant" }).click();
  await page.getByText("The gate cannot be reached").waitFor();
  await page.getByRole("button", { name: "Grant" }).click();
  await page.getByText("12.5 granted, as").waitFor();
  assert.equal(await tile(visit, "Credits").textContent(), "12.5");
  assert.equal((await ordered(gate, "GET", `${at}/credits`))["balance"], "12.5");
  await page.getByRole("cell", { name: HOSTILE }).waitFor();
  await visit.shot("account-granted");
  assert.deepEqual(visit.faults.filter((fault) => !fault.includes("net::ERR_FAILED")), []);
  await visit.close();
});

test("the bill is the API's, and so is the CSV to the byte", async () => {
  const visit = await opened("usage");
  const { page } = visit;
  const since = new Date(Date.now() - 48 * HOUR).toISOString().slice(0, 10);
  await page.getByLabel("From").fill(since);
  await page.getByLabel("endpoint").check();
  await page.getByLabel("Split by time").selectOption("day");
  const { text, url } = await heard(visit, "/usage", async () => await page.getByRole("button", { name: "Show" }).click());
  const tomorrow = new Date(Date.now() + 24 * HOUR).toISOString().slice(0, 10);
  assert.deepEqual(Object.fromEntries(url.searchParams), { from: since, to: tomorrow, group_by: "account,endpoint,day", limit: "50" });
  const { items } = JSON.parse(text) as Table;
  assert.ok(items.length >= 3);
  assert.deepEqual((await cells(visit, "Usage")).map((row) => row.slice(2, 4)), items.map(({ day, calls }: Table) => [day, String(calls)]));
  const saving = page.waitForEvent("download");
  const csv = await heard(visit, "/usage", async () => await page.getByRole("button", { name: "Download CSV" }).click());
  const saved = await saving;
  assert.match(saved.suggestedFilename(), /^tollgate-usage-\d{4}-\d\d-\d\d-to-\d{4}-\d\d-\d\d\.csv$/);
  assert.equal(await readFile(await saved.path(), "utf8"), csv.text);
  assert.match(csv.text, /^account,endpoint,day,calls,quantity,/);
  await page.getByText(/^Saved as .*, \d+ lines\.$/).waitFor();
  await visit.fine();
  await visit.close();
});

test("a refusal is told with its title, its detail and what to do, and what was shown stays", async () => {
  const visit = await opened("audit", { expected: /^Failed to load resource/ });
  const { page } = visit;
  const lines = await page.getByRole("row").count();
  await page.route("**/admin/audit*", async (route) => await route.abort());
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByText("The gate cannot be reached").waitFor();
  assert.equal(await page.getByRole("row").count(), lines);
  await page.unrouteAll();
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByText("The gate cannot be reached").waitFor({ state: "detached" });
  await page.evaluate("location.hash = 'accounts/nonsense'");
  const told = page.getByRole("alert").filter({ visible: true });
  const refused = await problem(await order(gate, "GET", "/accounts/nonsense"), 400, "bad-request");
  const explained = await (await served(await gate.client()("/_tollgate/problems/bad-request"))).json() as Table;
  for (const text of [refused["title"], refused["detail"], explained["what_to_do"]]) await told.getByText(text, { exact: true }).waitFor();
  await visit.shot("refusal");
  await visit.fine();
  await visit.close();
});

test("it is refreshed every half minute, but not while somebody selects text, nor while it is not seen", async () => {
  const visit = await browser.visit(gate, "/_tollgate/dashboard#plans");
  const { page } = visit;
  await page.clock.install();
  await page.reload();
  await page.getByLabel("Admin token").fill(ADMIN_TOKEN);
  await page.keyboard.press("Enter");
  await loaded(visit);
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.clock.pauseAt(Date.now() + 1000);
  await page.clock.runFor(20_000);
  assert.equal(asked.length, 0);
  await page.getByText("As it is written").first().click();
  await page.clock.runFor(20_000);
  await eventually("it asked by itself", async () => asked.length === 1 ? true : undefined);
  await loaded(visit);
  assert.equal(await page.locator("details[open]").count(), 1, "what was opened stays open");
  await page.evaluate("getSelection().selectAllChildren(document.querySelector('h2'))");
  await page.clock.runFor(60_000);
  await page.evaluate("getSelection().removeAllRanges(); Object.defineProperty(document, 'hidden', { value: true })");
  await page.clock.runFor(60_000);
  assert.equal(asked.length, 1);
  await visit.fine();
  await visit.close();
});
