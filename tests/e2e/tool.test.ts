// The command-line tool, the built binary, against a running gate: the owner's commands, paying on the chain, receipts.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually } from "./rig/eventually.ts";
import { answer, forwardThenCut, reset } from "./rig/faulty_facilitator.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { bearing, ordered } from "./rig/owner.ts";
import { failed, json, printed, toolWith } from "./rig/tool.ts";
import type { Tool } from "./rig/tool.ts";
import type { Wallet } from "./rig/chain.ts";
import { PAYEE, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;
let folder: string;
let wallet: Wallet;
let owner: Tool;
let payer: Tool;

const endpoint = (more: Table) => ({ bucket: { capacity: 4, refill_rate: 0.001 }, over_limit: "pay", price: "0.001", ...more });

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tollgate-"));
  world = await startWorld();
  gate = await world.gate({
    plans: {
      free: { endpoints: { "*": endpoint({}) } },
      // Nothing is free: each request is at its end at once.
      empty: { endpoints: { "*": endpoint({ cost: 2, bucket: { capacity: 1, refill_rate: 0.001 }, refill: 2 }) } },
      single: { endpoints: { "/echo": { payment: "always", price: "0.002" } } },
      dear: { endpoints: { "*": endpoint({ cost: 2, bucket: { capacity: 1, refill_rate: 0.001 }, refill: 2, price: "0.25" }) } },
    },
    secrets: { ADMIN_TOKEN },
  });
  wallet = await world.chain.wallet();
  owner = toolWith({ TOLLGATE_URL: gate.url, TOLLGATE_ADMIN_TOKEN: ADMIN_TOKEN });
  payer = toolWith({ TOLLGATE_WALLET_KEY: wallet.key });
});

after(async () => {
  await world.stop();
  await rm(folder, { recursive: true, force: true });
});

async function written(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

/** A key of a new account with that plan, as a header field. */
async function keyWith(account: string, plan: string): Promise<string> {
  const { key } = json(await owner("keys", "create", account, "--plan", plan, "--json"));
  return `Authorization: Bearer ${key}`;
}

test("keys are made, listed, used and revoked", async () => {
  const made = await owner("keys", "create", "acme", "--label", "ci", "--scope", "decide");
  const key = printed(made).trim();
  assert.match(key, /^tg_live_[0-9A-Za-z]{49}$/, "the key alone is on standard output");
  assert.match(made.err, /^made key_\S+ for acme; the key is shown this once\n$/);
  const listed = json(await owner("keys", "list", "--json"));
  const [item] = (listed as Table[]).filter(({ account }) => account === "acme") as [Table];
  assert.deepEqual([item["label"], item["scopes"], item["revoked_at"]], ["ci", ["decide"], null]);
  assert.equal((await bearing(gate.client(), key)("/cpu")).status, 200);
  const table = printed(await owner("keys", "list"));
  assert.match(table, new RegExp(`${item["id"]} +acme +ci +decide`));
  assert.equal(table.includes(key), false);
  assert.equal(printed(await owner("keys", "revoke", item["id"])), `revoked ${item["id"]}\n`);
  assert.equal((await bearing(gate.client(), key)("/cpu")).status, 401);
});

test("plans are applied from a file, whole or not at all", async () => {
  const good = await written("plans.yaml", "plans:\n  pro:\n    name: Pro\n    endpoints:\n      \"*\": { max_concurrent: 9 }\n");
  assert.equal(printed(await owner("plans", "apply", good)), "applied: pro\n");
  assert.match(printed(await owner("plans", "list")), / pro +Pro +false/);
  const toml = await written("plans.toml", "[plans.pro.endpoints.\"*\"]\nmax_concurrent = 8\n");
  // --url comes before TOLLGATE_URL.
  const elsewhere = toolWith({ TOLLGATE_URL: "http://127.0.0.1:1", TOLLGATE_ADMIN_TOKEN: ADMIN_TOKEN });
  assert.deepEqual(json(await elsewhere("plans", "apply", toml, "--url", gate.url, "--json"))["applied"], ["pro"]);
  assert.equal((await ordered(gate, "GET", "/plans/pro"))["endpoints"]["*"]["max_concurrent"], 8);
  const bad = await written("bad.yaml", "plans:\n  pro:\n    endpoints:\n      \"*\": { max_concurent: 7 }\n");
  const refused = await owner("plans", "apply", bad);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /^error: .*max_concurent.*did you mean `max_concurrent`\?/);
  const { problem } = failed(await owner("plans", "apply", bad, "--json"), 1);
  assert.equal(problem.status, 400);
  assert.equal((await ordered(gate, "GET", "/plans/pro"))["endpoints"]["*"]["max_concurrent"], 8);
});

test("an account is shown, and given a plan and the default again", async () => {
  await keyWith("planned", "free");
  assert.equal(printed(await owner("accounts", "plan", "key:planned", "empty")), "key:planned has the plan empty\n");
  const shown = json(await owner("accounts", "show", "key:planned", "--json"));
  assert.deepEqual([shown["account"], shown["plan"], shown["own_plan"], shown["keys"].length], ["key:planned", "empty", "empty", 1]);
  printed(await owner("accounts", "plan", "key:planned", "--default"));
  const text = printed(await owner("accounts", "show", "key:planned"));
  assert.match(text, /^key:planned has the plan free \(the default\)\n/);
  assert.match(text, / \* +bucket +4 +4 /);
  const { message, problem } = failed(await owner("accounts", "plan", "key:planned", "nope", "--json"), 1);
  assert.match(message, /^there is no plan `nope`; there is: .*\n {2}PUT .*: 404 Not found/);
  assert.equal(problem.plan, "nope");
  assert.equal(failed(await owner("accounts", "show", "nobody", "--json"), 1)["problem"].status, 400);
});

test("credits are granted, listed and deducted", async () => {
  const expires = "2099-01-01T00:00:00Z";
  const granted = json(await owner("credits", "grant", "key:prepaid", "10", "--expires", expires, "--metadata", "{\"order\": 7}", "--json"));
  assert.deepEqual([granted["amount"], granted["expires_at"], granted["metadata"]], ["10", expires, { order: 7 }]);
  assert.match(printed(await owner("credits", "grant", "key:prepaid", "0.5")), /^granted 0\.5 to key:prepaid as \S+\n$/);
  assert.match(printed(await owner("credits", "list", "key:prepaid")), new RegExp(`${granted["id"]} +10 +10 +${expires}`));
  const short = failed(await owner("credits", "deduct", "key:prepaid", "11", "--require-full", "--json"), 1);
  assert.equal(short["problem"].status, 409);
  assert.equal(printed(await owner("credits", "deduct", "key:prepaid", "4")), "deducted 4 of 4; 6.5 left\n");
  const all = json(await owner("credits", "deduct", "key:prepaid", "100", "--json"));
  assert.deepEqual([all["deducted"], all["balance"]], ["6.5", "0"]);
});

test("who has no or a wrong token is told so, and nobody there is another thing", async () => {
  const without = toolWith({ TOLLGATE_URL: gate.url });
  assert.equal(failed(await without("keys", "list", "--json"), 2)["error"], "usage");
  const wrong = toolWith({ TOLLGATE_URL: gate.url, TOLLGATE_ADMIN_TOKEN: "not-the-admin-token" });
  const refused = failed(await wrong("keys", "list", "--json"), 1);
  assert.deepEqual([refused["error"], refused["problem"].status], ["refused", 401]);
  const nobody = toolWith({ TOLLGATE_URL: world.origin.url, TOLLGATE_ADMIN_TOKEN: ADMIN_TOKEN });
  assert.match(failed(await nobody("keys", "list", "--json"), 1)["message"], /answers no list; is a Tollgate there\?$/);
});

test("a request that is admitted costs nothing", async () => {
  const key = await keyWith("rich", "free");
  const done = await payer("pay", gate.at("/echo"), "-H", key, "-d", "{\"a\": 1}", "--json");
  const paid = json(done);
  assert.deepEqual([paid["status"], paid["paid"], paid["receipt"], paid["transaction"]], [200, false, null, null]);
  const plain = await payer("pay", gate.at("/cpu"), "-H", key);
  assert.equal(typeof JSON.parse(printed(plain)).cpu_percent, "number", "the body alone is on standard output");
  assert.match(plain.err, /200, and nothing had to be paid\n$/);
});

test("it pays, shows each step, and verifies the receipt", async () => {
  const key = await keyWith("payer", "empty");
  const before = await world.chain.balance(PAYEE);
  const done = await payer("pay", gate.at("/cpu"), "-H", key, "--yes");
  assert.equal(typeof JSON.parse(printed(done)).cpu_percent, "number");
  assert.equal(await world.chain.balance(PAYEE) - before, 1000n);
  const steps = done.err.split("\n");
  assert.match(steps[0]!, /^GET http:\S+\/cpu: 402 Payment Required$/);
  assert.match(done.err, new RegExp(`^  offered: 0.001 USDC on eip155:84532 to ${PAYEE}$`, "m"));
  assert.match(done.err, new RegExp(`^signed by ${wallet.address}; sending the payment$`, "m"));
  assert.match(done.err, /^paid 0.001 USDC, transaction 0x[0-9a-f]{64}$/m);
  assert.match(done.err, /^receipt: valid rcpt_[0-9a-f]+$/m);
  assert.equal(done.err.includes(wallet.key.slice(2)), false, "the key is never shown");
});

test("what it says in JSON is the receipt that the gate keeps, and a pinned key verifies it", async () => {
  const key = await keyWith("json", "empty");
  const output = join(folder, "body.json");
  const paid = json(await payer("pay", gate.at("/echo"), "-X", "PUT", "-H", key, "-d", "question", "--yes", "--json", "-o", output));
  assert.deepEqual([paid["status"], paid["paid"], paid["price"], paid["receipt_valid"]], [200, true, "0.001 USDC", true]);
  assert.equal(paid["receipt"].receipt.payment.transaction, paid["transaction"]);
  assert.equal(typeof paid["session"], "string");
  assert.equal(JSON.parse(await readFile(output, "utf8")).method, "PUT");
  const pinned = await (await gate.client()("/_tollgate/receipt-key")).json() as Table;
  const url = gate.at(`/_tollgate/receipts/${paid["receipt"].receipt.id}`);
  const verified = json(await payer("receipt", "verify", url, "--address", pinned["address"], "--json"));
  assert.deepEqual(verified, { valid: true, receipt: paid["receipt"].receipt });
  const file = await written("receipt.json", JSON.stringify(paid["receipt"]));
  printed(await payer("receipt", "verify", file, "--key", pinned["public_key"]));
  const forged = await written("forged.json", JSON.stringify(paid["receipt"]).replace("0.001", "0.002"));
  failed(await payer("receipt", "verify", forged, "--key", pinned["public_key"], "--json"), 1);
  const other = `0x${"11".repeat(20)}`;
  const wary = await payer("pay", gate.at("/cpu"), "-H", await keyWith("wary", "empty"), "--yes", "--receipt-key", other);
  assert.equal(wary.code, 1);
  assert.match(wary.err, /error: the receipt does not hold: the receipt was not signed by the pinned key/);
});

test("a call that is always paid is paid each time", async () => {
  const key = await keyWith("single", "single");
  const before = await world.chain.balance(PAYEE);
  for (const body of ["one", "two"]) {
    const paid = json(await payer("pay", gate.at("/echo"), "-H", key, "-d", body, "--yes", "--json"));
    assert.deepEqual([paid["price"], paid["receipt_valid"]], ["0.002 USDC", true]);
  }
  assert.equal(await world.chain.balance(PAYEE) - before, 4000n);
});

test("it pays nothing that it may not, and nothing unasked", async () => {
  const key = await keyWith("careful", "dear");
  const before = await world.chain.balance(wallet.address);
  const dear = await payer("pay", gate.at("/cpu"), "-H", key, "--yes", "--max-price", "0.24");
  assert.equal(dear.code, 1);
  assert.match(dear.err, /error: it costs 0\.25 USDC, and --max-price is 0\.24: nothing was paid\n$/);
  const unasked = failed(await payer("pay", gate.at("/cpu"), "-H", key, "--json"), 2);
  assert.equal(unasked["message"], "it costs 0.25 USDC, and there is nobody to ask; pay with --yes");
  const poor = toolWith({});
  assert.match((await poor("pay", gate.at("/cpu"), "-H", key, "--yes")).err, /no wallet to pay with; .* TOLLGATE_WALLET_KEY\n$/);
  const mistyped = await toolWith({ TOLLGATE_WALLET_KEY: "secret" })("pay", gate.at("/cpu"), "-H", key, "--yes");
  assert.equal(mistyped.code, 2);
  assert.equal(mistyped.err.includes("secret"), false);
  assert.equal(await world.chain.balance(wallet.address), before);
  assert.equal(json(await payer("pay", gate.at("/cpu"), "-H", key, "--yes", "--max-price", "0.25", "--json"))["paid"], true);
  assert.equal(before - await world.chain.balance(wallet.address), 250_000n);
});

test("a payment that is refused says why, and one that is in doubt is sent again, not paid again", async () => {
  world.facilitator.next("verify", answer(200, { isValid: false, invalidReason: "insufficient_funds" }));
  const refused = await payer("pay", gate.at("/cpu"), "-H", await keyWith("refused", "empty"), "--yes", "--json");
  assert.match(failed(refused, 1)["message"], /^the payment was refused: insufficient_funds\n/);
  const before = await world.chain.balance(wallet.address);
  world.facilitator.next("verify", reset);
  const paid = json(await payer("pay", gate.at("/cpu"), "-H", await keyWith("doubtful", "empty"), "--yes", "--json"));
  assert.equal(paid["receipt_valid"], true);
  assert.equal(before - await world.chain.balance(wallet.address), 1000n, "once");
});

test("a payment whose answer was lost is not made again, and what it bought is spent", async () => {
  const key = await keyWith("unlucky", "empty");
  const before = await world.chain.balance(wallet.address);
  world.facilitator.next("settle", forwardThenCut);
  const served = json(await payer("pay", gate.at("/cpu"), "-H", key, "--yes", "--json"));
  assert.equal(served["status"], 200);
  assert.ok(served["paid"] === null || served["receipt_valid"] === true, JSON.stringify(served));
  assert.equal(before - await world.chain.balance(wallet.address), 1000n, "once");
});

test("the owner sees the payments", async () => {
  json(await payer("pay", gate.at("/cpu"), "-H", await keyWith("seen", "empty"), "--yes", "--json"));
  const [payment] = await eventually("the payment is in the ledger", async () => {
    const listed = json(await owner("payments", "list", "--account", "key:seen", "--json")) as unknown as Table[];
    return listed.length > 0 && listed[0]!["state"] === "credited" ? listed : undefined;
  }) as [Table];
  assert.deepEqual([payment["amount"], payment["currency"], payment["account"]], ["0.001", "USDC", "key:seen"]);
  assert.match(printed(await owner("payments", "list", "--state", "credited")), new RegExp(`${payment["id"]} +credited +0\\.001 +USDC`));
  assert.equal(printed(await owner("payments", "retry", payment["id"])), `${payment["id"]} is credited\n`);
  failed(await owner("payments", "retry", `pay_${"0".repeat(32)}`, "--json"), 1);
});

test("the owner sees what was used and paid, as a table, as JSON and as CSV, and who did most", async () => {
  const key = await keyWith("busy", "empty");
  for (const _ of [1, 2]) json(await payer("pay", gate.at("/cpu"), "-H", key, "--yes", "--json"));
  const ask = ["usage", "--account", "key:busy", "--group-by", "account,endpoint"];
  const [row] = await eventually("the usage is in the ledger", async () => {
    const rows = json(await owner(...ask, "--json")) as unknown as Table[];
    return rows.some(({ calls, paid }) => calls === 2 && paid === "0.002") ? rows : undefined;
  }) as [Table];
  assert.deepEqual([row["account"], row["endpoint"]], ["key:busy", "*"]);
  assert.match(printed(await owner(...ask)), /^ account +endpoint +calls +quantity .*\n.*\n key:busy +\* +2 .* 0\.002 /m);
  const csv = printed(await owner(...ask, "--csv"));
  assert.match(csv, /^account,endpoint,calls,quantity,overage_quantity,overage_charge,paid,credits,owed\r?\nkey:busy,\*,2,/);
  assert.equal(failed(await owner("usage", "--from", "soon", "--json"), 1)["problem"].status, 400);
  const top = json(await owner("top", "-n", "100", "--json")) as unknown as Table[];
  assert.equal(top.find(({ client }) => client === "key:busy")!["request_count"], 2);
  assert.match(printed(await owner("top", "-n", "1")), / client +requests +admitted +blocked +last request/);
});

test("a facilitator is asked what it supports", async () => {
  const settings = (url: string) => `[vars.TOLLGATE]\norigin = "https://api.acme.test"\ndefault_plan = "free"\n[vars.TOLLGATE.payment]\npay_to = "${PAYEE}"\nnetwork = "base-sepolia"\nfacilitators = ["${url}"]\n[vars.PLANS.free.endpoints."*"]\n`;
  const file = await written("wrangler.toml", settings(world.real.url));
  const checked = json(await owner("check", "--online", file, "--json"));
  assert.deepEqual(checked["facilitators"], [{ url: `${world.real.url}/`, unsupported: [], error: null }]);
  const base = await written("base.toml", settings(world.real.url).replace("base-sepolia", "base"));
  const lacking = await owner("check", "--online", base, "--json");
  assert.equal(lacking.code, 1);
  assert.deepEqual(JSON.parse(lacking.out).facilitators[0].unsupported, ["exact on eip155:8453 (x402 v2)"]);
});
