// Signed contexts: a registered wallet signs for what it will owe. It moves no money, so everything about it is strict: our nonce,
// for this client and endpoint, once, for 300 seconds, from wallets that the owner knows, within their plans.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { zeroAddress } from "viem";
import { poor, problem, served } from "./rig/answers.ts";
import { newWallet } from "./rig/chain.ts";
import type { Wallet } from "./rig/chain.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { startGate } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { startOrigin } from "./rig/origin.ts";
import type { Origin } from "./rig/origin.ts";
import { ordered } from "./rig/owner.ts";
import { decodeReceiptHeader, receiptIsSignedBy } from "./rig/receipts.ts";
import { PAYEE, bucketPlan } from "./rig/world.ts";

let gate: Gate;
let origin: Origin;

before(async () => {
  origin = await startOrigin();
  const two = { bucket: { capacity: 2, refill_rate: 0.001 } };
  gate = await startGate({
    secrets: { ADMIN_TOKEN },
    plans: { ...bucketPlan(), partner: { name: "Partner", endpoints: { "*": two } }, narrow: { name: "Narrow", endpoints: { "/elsewhere": two } } },
    settings: {
      origin: origin.url, default_plan: "free", flush_interval: "1s",
      payment: {
        pay_to: PAYEE, network: "base-sepolia", facilitators: ["http://127.0.0.1:9"], methods: ["x402", "signed-context"],
      },
    },
  });
});

after(async () => await stopAll());

async function registered(plan = "partner"): Promise<Wallet> {
  const wallet = newWallet();
  await ordered(gate, "PUT", `/accounts/${encodeURIComponent(`wallet:${wallet.address.toLowerCase()}`)}/plan`, { name: plan });
  return wallet;
}

/** The context that a denied client is asked to sign. */
async function asked(denied: Response): Promise<Table> {
  return (await denied.json() as Table)["paymentContext"];
}

async function sign(wallet: Wallet, { nonce, chainId, ...context }: Table, change: Table = {}): Promise<Record<string, string>> {
  const signature = await wallet.account.signTypedData({
    domain: { name: "MicroAI Paygate", version: "1", chainId, verifyingContract: zeroAddress },
    types: {
      Payment: [
        { name: "recipient", type: "address" },
        { name: "token", type: "string" },
        { name: "amount", type: "string" },
        { name: "nonce", type: "string" },
      ],
    },
    primaryType: "Payment",
    message: { ...context, nonce, ...change } as never,
  });
  return { "X-402-Signature": signature, "X-402-Nonce": nonce };
}

/** What the ledger says that a wallet owes, in atomic units. */
async function owed(wallet: Wallet): Promise<number> {
  const rows = await gate.ledger("SELECT owed FROM usage WHERE account = ?", `wallet:${wallet.address.toLowerCase()}`);
  return rows.map((row) => Number(row["owed"])).reduce((sum, one) => sum + one, 0);
}

test("a 402 asks for a signature, under a nonce of version 4 that no other 402 has", async () => {
  const { client, denied } = await poor(gate);
  const body = await denied.json() as Table;
  assert.equal(body["message"], "Please sign the payment context");
  const { nonce, ...context } = body["paymentContext"];
  assert.deepEqual(context, { recipient: PAYEE, token: "USDC", amount: "0.001", chainId: 84532 });
  assert.match(nonce, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual((await asked(await client("/cpu")))["nonce"], nonce);
});

test("a registered wallet is let through as itself, owes what it signed for, and has a receipt", async () => {
  const { client, denied } = await poor(gate, "/echo");
  const wallet = await registered();
  const context = await asked(denied);
  const answer = await served(await client("/echo", { method: "POST", body: "the question", headers: await sign(wallet, context) }));
  const body = new Uint8Array(await answer.arrayBuffer());
  const signed = decodeReceiptHeader(answer);
  const { public_key } = await (await gate.client()("/_tollgate/receipt-key")).json() as Table;
  assert.ok(await receiptIsSignedBy(public_key, signed));
  assert.deepEqual(signed.receipt.payment, {
    payer: wallet.address.toLowerCase(), recipient: PAYEE, amount: "0.001", token: "USDC", chainId: 84532, nonce: context["nonce"],
    method: "signed-context", network: "eip155:84532", transaction: "",
  });
  const hash = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  assert.equal(signed.receipt.service.request_hash, hash("the question"));
  assert.equal(signed.receipt.service.response_hash, hash(body));
  assert.match(answer.headers.get("cache-control") ?? "", /private/);
  const found = await served(await gate.client()(`/_tollgate/receipts/${signed.receipt.id}`));
  assert.deepEqual(await found.json(), { ...signed, status: "valid" });
  const { headers } = JSON.parse(new TextDecoder().decode(body)) as Table;
  assert.equal(headers["tollgate-client"], `wallet:${wallet.address.toLowerCase()}`);
  assert.deepEqual([headers["x-402-signature"], headers["x-402-nonce"]], [undefined, undefined]);
  await eventually("the wallet owes", async () => await owed(wallet) === 1000 || undefined);
  // Who asked has not become richer: the wallet's plan was used.
  assert.equal((await client("/echo")).status, 402);
});

test("a nonce is good once: nine more at once get 409, and the origin is called once", async () => {
  const { client, denied } = await poor(gate, "/count?once");
  const wallet = await registered();
  const headers = await sign(wallet, await asked(denied));
  const calls = origin.seen.length;
  const answers = await Promise.all(Array.from({ length: 10 }, async () => await client("/count?once", { headers })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(9).fill(409)]);
  assert.equal(origin.seen.length, calls + 1);
  await problem(await client("/count?once", { headers }), 409, "payment-used");
  // Not for another wallet either.
  const other = await sign(await registered(), { ...(await asked(await client("/count?once"))), nonce: headers["X-402-Nonce"] });
  await problem(await client("/count?once", { headers: other }), 409, "payment-used");
});

test("what is not right is refused, reaches nobody, and leaves the nonce as it was", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await registered();
  const context = await asked(denied);
  const { client: neighbour, denied: elsewhere } = await poor(gate);
  const good = await sign(wallet, context);
  const calls = origin.seen.length;
  const bad: [string, Fetch, Record<string, string>][] = [
    ["a nonce that nobody issued", client, await sign(wallet, { ...context, nonce: crypto.randomUUID() })],
    ["no nonce", client, { "X-402-Signature": good["X-402-Signature"]! }],
    ["no signature", client, { "X-402-Nonce": good["X-402-Nonce"]! }],
    ["no signature's length", client, { ...good, "X-402-Signature": good["X-402-Signature"]!.slice(0, -2) }],
    ["another amount", client, await sign(wallet, context, { amount: "0.0001" })],
    ["a wallet that nobody registered", client, await sign(newWallet(), context)],
    ["another client's nonce", client, await sign(wallet, await asked(elsewhere))],
    ["from another client", neighbour, good],
    ["upper case", client, { ...good, "X-402-Nonce": good["X-402-Nonce"]!.toUpperCase() }],
  ];
  for (const [what, from, headers] of bad) {
    const body = await problem(await from("/cpu", { headers }), 403, "invalid-signature").catch((error: Error) => assert.fail(`${what}: ${error.message}`));
    assert.equal(typeof body["detail"], "string");
  }
  assert.equal(origin.seen.length, calls);
  await served(await client("/cpu", { headers: good }));
});

test("a wallet's plan limits it: what it denies is 429, owes nothing and burns no nonce", async () => {
  const wallet = await registered();
  const { client, denied } = await poor(gate);
  let context = await asked(denied);
  for (let count = 0; count < 2; count += 1) {
    await served(await client("/cpu", { headers: await sign(wallet, context) }));
    context = await asked(await client("/cpu"));
  }
  const headers = await sign(wallet, context);
  await problem(await client("/cpu", { headers }), 429, "rate-limited");
  await problem(await client("/cpu", { headers }), 429, "rate-limited");
  await eventually("two calls are owed", async () => await owed(wallet) === 2000 || undefined);
  const narrow = await registered("narrow");
  await problem(await client("/cpu", { headers: await sign(narrow, context) }), 403, "no-access");
  await served(await client("/cpu", { headers: await sign(await registered(), context) }));
});

test("with tokens left a signed context is not looked at, and beside a payment it is a bad payment", async () => {
  const client = gate.client();
  const headers = { "X-402-Signature": "0x00", "X-402-Nonce": crypto.randomUUID() };
  for (let count = 0; count < 4; count += 1) await served(await client("/cpu", { headers }));
  await problem(await client("/cpu", { headers }), 403, "invalid-signature");
  await problem(await client("/cpu", { headers: { ...headers, "X-PAYMENT": "e30=" } }), 400, "bad-payment");
});

test("where the method is off, nothing is asked for and nothing is taken", async () => {
  const off = await startGate({
    plans: bucketPlan(),
    settings: {
      origin: origin.url, default_plan: "free",
      payment: { pay_to: PAYEE, network: "base-sepolia", facilitators: ["http://127.0.0.1:9"] },
    },
  });
  const { client } = await poor(off);
  const denied = await client("/cpu", { headers: { "X-402-Signature": "0x00", "X-402-Nonce": crypto.randomUUID() } });
  assert.equal(denied.status, 402);
  assert.equal("paymentContext" in (await denied.json() as Table), false);
});
