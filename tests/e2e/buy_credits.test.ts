// Prepaid credits that a client buys for its account: the 402 of every form, 201 for the payment, once for each payment whatever
// happens to it, and then credits to spend.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { problem, served, unavailable } from "./rig/answers.ts";
import type { Wallet } from "./rig/chain.ts";
import { headerV2, offerV2, payingV1, payingV2, settlement, signIn, signInHeader, signV2, signingIn } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { forwardThen, forwardThenCut } from "./rig/faulty_facilitator.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { payingMpp, receipt as mppReceipt } from "./rig/mpp.ts";
import { issue, ordered } from "./rig/owner.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;
let persist: string;

const bucket = { capacity: 1, refill_rate: 0.001 };

before(async () => {
  world = await startWorld();
  persist = await mkdtemp(join(tmpdir(), "tollgate-"));
  gate = await world.gate({
    persist,
    payment: { settle_timeout: "2s" },
    secrets: { ADMIN_TOKEN },
    plans: {
      free: {
        credit_price: "0.001",
        endpoints: {
          "/image": { credits: { request: 40 } },
          "*": { bucket, over_limit: "pay", price: "0.1", refill: 1 },
        },
      },
      poor: { endpoints: { "*": { bucket } } },
    },
  });
});

after(async () => {
  await world.stop();
  await rm(persist, { recursive: true, force: true });
});

beforeEach(async () => await world.facilitator.heal());

const CREDITS = "/_tollgate/credits";
/** As an order of credits is sent: a key goes where it leaves room for MPP. */
const amount = (amount: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  headers: { "Content-Type": "application/json", ...headers },
  body: JSON.stringify({ amount }),
});

/** The holder of a new key, whose clients send it where MPP leaves it alone. */
async function holder(name: string): Promise<Fetch> {
  const { key } = await issue(gate, name);
  const client = gate.client();
  return async (input, init) => {
    const request = new Request(typeof input === "string" ? new URL(input, gate.url) : input, init);
    request.headers.set("X-API-Key", key);
    return await client(request);
  };
}

async function bought(answer: Response): Promise<Table> {
  const text = await answer.text();
  assert.equal(answer.status, 201, text);
  return JSON.parse(text) as Table;
}

async function bill(client: Fetch): Promise<Table> {
  return await (await served(await client("/_tollgate/usage"))).json() as Table;
}

/** A signed payment for so many credits. */
async function payment(client: Fetch, wallet: Wallet, count: number): Promise<Record<string, string>> {
  const offer = offerV2(await client(CREDITS, amount(count)));
  return headerV2(await signV2(wallet, offer));
}

async function blocks(account: string): Promise<Table[]> {
  const { items } = await ordered(gate, "GET", `/accounts/${encodeURIComponent(account)}/credits`);
  return items as Table[];
}

test("stock clients of x402 v2, x402 v1 and MPP buy credits, and they are spent", async () => {
  const client = await holder("stock");
  const wallet = await world.chain.wallet();
  const asked = await client(CREDITS, amount(40));
  const body = await problem(asked, 402, "payment-required");
  assert.equal(body["price"], "0.04 USDC");
  assert.match(body["detail"], /^40 prepaid credits cost 0\.04 USDC$/);
  assert.equal(offerV2(asked).accepts[0]!.amount, "40000");

  const first = await payingV2(client, wallet)(gate.at(CREDITS), amount(40));
  const [block] = [await bought(first.clone() as Response)];
  assert.deepEqual([block["amount"], block["remaining"], block["expires_at"], block["balance"]], ["40", "40", null, "40"]);
  assert.match(block["id"], /^blk_[0-9a-f]{32}$/);
  assert.equal(block["metadata"]["payment"], block["id"].replace("blk_", "pay_"));
  assert.equal(settlement(first).success, true);
  const receipt = JSON.parse(Buffer.from(first.headers.get("x-402-receipt")!, "base64").toString());
  assert.deepEqual([receipt.receipt.payment.amount, receipt.receipt.service.endpoint], ["0.04", CREDITS]);
  assert.deepEqual((await (await served(await client(block["receipt"]))).json() as Table)["receipt"], receipt.receipt);
  assert.match(first.headers.get("cache-control") ?? "", /private/);

  const second = await payingV1(client, wallet)(gate.at(CREDITS), amount(30));
  assert.equal((await bought(second.clone() as Response))["balance"], "70");
  assert.ok(second.headers.has("x-payment-response"));
  const third = await payingMpp(client, wallet)(gate.at(CREDITS), amount(30));
  assert.equal((await bought(third.clone() as Response))["balance"], "100");
  assert.equal(mppReceipt(third)["status"], "success");
  assert.equal(await world.chain.balance(wallet.address), 900_000n);

  await served(await client("/image"));
  await served(await client("/image"));
  await problem(await client("/image"), 429, "insufficient-credits");
  const { credits, paid, calls } = await bill(client);
  assert.deepEqual([credits, paid, calls], [{ balance: "20", spent: "80" }, { count: 3, amount: "0.1" }, 2]);
  await eventually("the ledger says the same", async () => {
    const { items } = await ordered(gate, "GET", "/usage?account=key:stock&group_by=endpoint");
    const sums = (items as Table[]).map(({ endpoint, paid, credits }) => [endpoint, paid, credits]);
    return JSON.stringify(sums) === JSON.stringify([["/image", "0", "80"], ["buy credits", "0.1", "0"]]) ? true : undefined;
  });
  const { items } = await ordered(gate, "GET", "/payments?account=key:stock");
  assert.deepEqual((items as Table[]).map(({ state }) => state), ["credited", "credited", "credited"]);
});

test("20 times the same payment at once buys once, and sent again it gets the same receipt", async () => {
  const client = await holder("twenty");
  const wallet = await world.chain.wallet();
  const headers = await payment(client, wallet, 50);
  const answers = await Promise.all(Array.from({ length: 20 }, () => client(CREDITS, amount(50, headers))));
  assert.ok(answers.every(({ status }) => [201, 503].includes(status)), answers.map(({ status }) => status).join(" "));
  assert.ok(answers.some(({ status }) => status === 201));
  await served(await client("/image"));
  const again = await client(CREDITS, amount(50, headers));
  const once = answers.find(({ status }) => status === 201)!;
  const one = await bought(once);
  const [id, ...left] = [one["id"], await bought(again)];
  assert.deepEqual(left.map((block) => [block["id"], block["amount"], block["remaining"], block["balance"]]), [[id, "50", "10", "10"]]);
  assert.equal(again.headers.get("x-402-receipt"), once.headers.get("x-402-receipt"));
  assert.equal((await blocks("key:twenty")).length, 1);
  assert.equal(await world.chain.balance(wallet.address), 950_000n);
});

test("a wallet that signed in buys for itself, and so does the holder of its session token", async () => {
  const wallet = await world.chain.wallet();
  const client = gate.client();
  await served(await client("/cpu"));
  const proof = signInHeader(await signIn(wallet, offerV2(await client("/cpu"))));
  const signedIn = await client("/_tollgate/limits", { headers: proof });
  const session = { "Tollgate-Session": signedIn.headers.get("tollgate-session")! };
  const offer = offerV2(await client(CREDITS, amount(7, session)));
  const paid = await client(CREDITS, amount(7, { ...session, ...headerV2(await signV2(wallet, offer)) }));
  assert.equal((await bought(paid))["balance"], "7");
  assert.equal((await blocks(`wallet:${wallet.address.toLowerCase()}`)).length, 1);
});

test("what was paid for requests buys no credits, what was paid for credits no requests, and no other number", async () => {
  const client = await holder("swapper");
  const wallet = await world.chain.wallet();
  await served(await client("/cpu"));
  const forTokens = headerV2(await signV2(wallet, offerV2(await client("/cpu"))));
  await served(await client("/cpu", { headers: forTokens }));
  // A refill costs as much as a hundred credits: the signature would be good for either.
  await problem(await client(CREDITS, amount(100, forTokens)), 409, "payment-used");
  const forCredits = await payment(client, wallet, 100);
  await bought(await client(CREDITS, amount(100, forCredits)));
  await problem(await client("/cpu", { headers: forCredits }), 409, "payment-used");
  const dearer = await client(CREDITS, amount(200, forCredits));
  assert.equal((await problem(dearer, 402, "verification-failed"))["reason"], "no_matching_payment_requirements");
  assert.equal((await bill(client))["credits"].balance, "100");
});

test("a payment of unknown outcome is pending, and its credits come by themselves, once", async () => {
  const client = await holder("doubtful");
  const wallet = await world.chain.wallet();
  const headers = await payment(client, wallet, 25);
  world.facilitator.next("settle", forwardThenCut);
  await unavailable(await client(CREDITS, amount(25, headers)), "payment-pending");
  await unavailable(await client(CREDITS, amount(25)), "payment-pending");
  await eventually("the credits are there", async () => (await blocks("key:doubtful")).length > 0 ? true : undefined);
  assert.equal((await bought(await client(CREDITS, amount(25, headers))))["balance"], "25");
  assert.equal(await world.chain.balance(wallet.address), 975_000n);
});

test("killed at any step of a payment, the gate credits it once afterwards", async () => {
  for (const verb of ["verify", "settle"] as const) {
    const name = `killed-at-${verb}`;
    const client = await holder(name);
    const wallet = await world.chain.wallet();
    const headers = await payment(client, wallet, 60);
    const killed = new Promise<void>((resolve) => {
      world.facilitator.next(verb, forwardThen(async () => {
        await gate.kill();
        resolve();
      }));
    });
    await assert.rejects(async () => {
      const { status } = await client(CREDITS, amount(60, headers));
      if (status >= 500) throw new Error(`${status}`);
    });
    await killed;
    await gate.restart();
    // Before it was settled nothing had begun, and the client sends it again; then it comes without the client.
    if (verb === "verify") await client(CREDITS, amount(60, headers));
    await eventually(`the credits are there, killed at ${verb}`, async () => (await blocks(`key:${name}`)).length > 0 ? true : undefined);
    const again = await eventually("it is told", async () => {
      const answer = await client(CREDITS, amount(60, headers));
      return answer.status === 201 ? answer : undefined;
    });
    assert.equal((await bought(again))["balance"], "60", verb);
    assert.equal(await world.chain.balance(wallet.address), 940_000n, verb);
  }
});

/** What `wallet:…` is called that has this address. */
const accountOf = ({ address }: Wallet) => `wallet:${address.toLowerCase()}`;

test("stock clients that have nothing but a wallet buy credits for it, signing in first or not", async () => {
  const wallet = await world.chain.wallet();
  const asked = await gate.client()(CREDITS, amount(40));
  assert.equal((await problem(asked, 402, "payment-required"))["price"], "0.04 USDC");
  assert.ok(offerV2(asked).extensions!["sign-in-with-x"], "a wallet may sign in instead");
  for (const paying of [payingV2, payingV1, payingMpp, signingIn]) {
    const ip = freshAddress();
    const answer = await paying(gate.client(ip), wallet)(gate.at(CREDITS), amount(10));
    const block = await bought(answer.clone() as Response);
    assert.deepEqual([block["amount"], block["account"]], ["10", accountOf(wallet)], paying.name);
    assert.equal(answer.headers.has("tollgate-session"), false, `${paying.name}: a payment alone lets nobody in`);
    assert.deepEqual(await blocks(`ip:${ip}`), []);
  }
  assert.deepEqual((await blocks(accountOf(wallet))).map(({ remaining }) => remaining), ["10", "10", "10", "10"]);
  assert.equal(await world.chain.balance(wallet.address), 960_000n);
  // The wallet spends them from anywhere, once it has signed in.
  const anywhere = gate.client();
  const offer = offerV2(await anywhere(CREDITS, amount(1)));
  await served(await anywhere("/image", { headers: signInHeader(await signIn(wallet, offer)) }));
  assert.deepEqual((await blocks(accountOf(wallet))).map(({ remaining }) => remaining), ["0", "0", "0", "0"]);
});

test("whoever sends a wallet's payment again, which all can see once it is settled, gains nothing by it", async () => {
  const wallet = await world.chain.wallet();
  // A request of this gate costs as much.
  const headers = await payment(gate.client(), wallet, 100);
  const block = await bought(await gate.client()(CREDITS, amount(100, headers)));
  assert.equal("balance" in block, false);
  const again = await gate.client()(CREDITS, amount(100, headers));
  assert.equal(again.headers.has("tollgate-session"), false);
  assert.deepEqual(await bought(again), block);
  const thief = gate.client();
  await exactlyOne(thief);
  await problem(await thief("/cpu", { headers }), 409, "payment-used");
  assert.equal((await thief("/image")).status, 429);
  assert.deepEqual((await blocks(accountOf(wallet))).map(({ remaining }) => remaining), ["100"]);
  assert.equal(await world.chain.balance(wallet.address), 900_000n);
});

/** Uses up the free token of a client. */
async function exactlyOne(client: Fetch): Promise<void> {
  await served(await client("/cpu"));
  assert.equal((await client("/cpu")).status, 402);
}

test("a payment that does not prove its wallet, or of a wallet with a price of its own, buys a stranger nothing", async () => {
  const wallet = await world.chain.wallet();
  const stranger = gate.client();
  const signed = await signV2(wallet, offerV2(await stranger(CREDITS, amount(40))));
  const long = `${(signed.payload as Table)["signature"]}00`;
  const unproven = headerV2({ ...signed, payload: { ...signed.payload, signature: long } });
  assert.match((await problem(await stranger(CREDITS, amount(40, unproven)), 403, "no-access"))["detail"], /sign in as its wallet/);
  await ordered(gate, "PUT", "/plans/dear", { credit_price: "0.002", endpoints: { "*": {} } });
  await ordered(gate, "PUT", `/accounts/${encodeURIComponent(accountOf(wallet))}/plan`, { name: "dear" });
  assert.match((await problem(await stranger(CREDITS, amount(40, headerV2(signed))), 403, "no-access"))["detail"], /cost this wallet something else/);
  assert.deepEqual(await blocks(accountOf(wallet)), []);
  const asked = await stranger(CREDITS, amount(40));
  const known = await stranger(CREDITS, amount(40, signInHeader(await signIn(wallet, offerV2(asked)))));
  const session = { "Tollgate-Session": known.headers.get("tollgate-session")! };
  const dear = headerV2(await signV2(wallet, offerV2(known)));
  assert.equal((await bought(await stranger(CREDITS, amount(40, { ...session, ...dear }))))["balance"], "40");
  assert.equal(await world.chain.balance(wallet.address), 920_000n);
});

test("who asks for no credits, or has a plan that sells none is told so", async () => {
  const client = await holder("mistaken");
  for (const [body, fault] of [
    ["{", /is not JSON/], ["{}", /body\.amount: is missing/], ['{"amount":0}', /must be more than 0/],
    ['{"amount":1.5}', /whole number/], ['{"amount":-1}', /whole number/], ['{"amount":2000000000}', /at most 1000000000/],
    ['{"amount":1,"price":"0"}', /price: is not a setting/],
  ] as [string, RegExp][]) {
    const answer = await client(CREDITS, { ...amount(1), body });
    assert.match((await problem(answer, 400, "bad-request"))["detail"], fault);
  }
  assert.equal((await client(CREDITS)).status, 405);
  const { key } = await issue(gate, "key:unlucky", { plan: "poor" });
  const unlucky = await gate.client()(CREDITS, amount(5, { "X-API-Key": key }));
  assert.match((await problem(unlucky, 404, "not-found"))["detail"], /the plan poor sells no credits/);
});

test("what a credit costs is on offer, and a price that the asset cannot express is refused", async () => {
  const offers = await (await served(await gate.client()("/_tollgate/offers"))).json() as Table;
  assert.deepEqual(offers["credits"], ["key", "wallet"].map((accounts) => ({ accounts, plan: "free", price: "0.001", currency: "USDC" })));
  for (const [credit_price, fault] of [["0.0000001", /finer than the asset/], ["0", /more than 0/], [0.001, /must be a text/]] as [unknown, RegExp][]) {
    const refused = await gate.client()("/_tollgate/admin/plans/odd", {
      method: "PUT",
      headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, "Content-Type": "application/json" },
      body: JSON.stringify({ credit_price, endpoints: { "*": {} } }),
    });
    const body = await problem(refused, 400, "bad-request");
    assert.match(body["detail"], /credit_price/);
    assert.match(body["detail"], fault);
  }
});
