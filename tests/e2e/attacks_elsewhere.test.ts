// What was paid, signed or issued at one place and is brought to another: another gate of the same owner, another price, another
// route; and a store of receipts that knows too little, or lies. The numbers are those of the list in docs/security.md.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { PaymentPayload, PaymentRequired } from "@x402/core/types";
import { authorization, signTransfer } from "./rig/by_hand.ts";
import type { Authorization } from "./rig/by_hand.ts";
import { exactly, exhaust, poor, problem, refusal, served, unavailable } from "./rig/answers.ts";
import { headerV2, offerV2, payingV2, signV2 } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { answerOf } from "./rig/mpp.ts";
import { ordered } from "./rig/owner.ts";
import { decodeReceiptHeader, receiptIsSignedBy } from "./rig/receipts.ts";
import type { SignedReceipt } from "./rig/receipts.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;
let other: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate({ secrets: { ADMIN_TOKEN } });
  // The owner's second gate: the same payee, facilitator and keys, and a chain node.
  other = await world.gate({ payment: { rpc: world.chain.url } });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

test("6.3 #3 a payment that one gate settled buys nothing at another of the same owner, in any form", async () => {
  const first = await poor(gate);
  const wallet = await world.chain.wallet();
  const payment = await signV2(wallet, offerV2(first.denied));
  await served(await first.client("/cpu", { headers: headerV2(payment) }));
  const second = await poor(other);
  const v1 = { x402Version: 1, scheme: "exact", network: "base-sepolia", payload: payment.payload };
  for (const headers of [headerV2(payment), { "X-PAYMENT": Buffer.from(JSON.stringify(v1)).toString("base64") }]) {
    await refusal(await second.client("/cpu", { headers }));
  }
  await exactly(second.client, 0);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("6.3 #3 the token of a session, and a credential of MPP, are good at the gate that issued them alone", async () => {
  const foreign = await world.gate({ secrets: { SESSION_KEY: "77".repeat(32) } });
  const { client, denied } = await poor(gate);
  const asked = denied.clone();
  const paid = await served(await client("/cpu", { headers: headerV2(await signV2(await world.chain.wallet(), offerV2(denied))) }));
  const token = paid.headers.get("tollgate-session")!;
  const there = await poor(foreign);
  const body = await problem(await there.client("/cpu", { headers: { "Tollgate-Session": token } }), 402, "payment-required");
  assert.equal(typeof body["sign_in_error"].reason, "string");
  const credential = await answerOf(await world.chain.wallet(), asked, "evm");
  await problem(await there.client("/cpu", { headers: { Authorization: credential } }), 402, "invalid-challenge");
  assert.equal(world.facilitator.calls.settle.length, 1);
  await foreign.stop();
});

test("6.3 #9 a payment for yesterday's price is refused once the owner raised it, and nobody is asked", async () => {
  const moving = await world.gate({ secrets: { ADMIN_TOKEN } });
  const { client, denied } = await poor(moving);
  const payment = await signV2(await world.chain.wallet(), offerV2(denied));
  const credential = await answerOf(await world.chain.wallet(), denied, "evm");
  await ordered(moving, "PUT", "/plans/free", bucketPlan({ price: "0.002" })["free"]);
  assert.equal(offerV2(await client("/cpu")).accepts[0]!.amount, "2000");
  const refused = await client("/cpu", { headers: headerV2(payment) });
  assert.equal(offerV2(refused.clone()).accepts[0]!.amount, "2000");
  await refusal(refused);
  await refusal(await client("/cpu", { headers: { Authorization: credential } }));
  assert.equal(world.facilitator.calls.verify.length + world.facilitator.calls.settle.length, 0);
  await exactly(client, 0);
  await moving.stop();
});

test("6.3 #9 of several offers the cheapest is good where it is offered, and nowhere else", async () => {
  const offers = [{ network: "base" }];
  const several = await world.gate({
    plans: { free: { endpoints: { "/dear": { bucket: { capacity: 4, refill_rate: 0.001 }, over_limit: "pay", price: "0.01" }, "*": bucketPlan()["free"].endpoints["*"] } } },
    payment: { offers },
  });
  const { client, denied } = await poor(several);
  await exhaust(client, "/dear");
  const cheap = offerV2(denied);
  const payment: any = await signV2(await world.chain.wallet(), cheap);
  for (const accepted of cheap.accepts) await refusal(await client("/dear", { headers: headerV2({ ...payment, accepted }) }));
  // The other network's offer with this network's signature: that may be a contract's, which only a facilitator can tell.
  assert.notEqual((await client("/cpu", { headers: headerV2({ ...payment, accepted: cheap.accepts[1] }) })).status, 200);
  assert.equal(world.facilitator.calls.settle.length, 0);
  await exactly(client, 0, "/dear");
  await several.stop();
});

/** Every text and number in a document, by the way to it. */
function leaves(value: unknown, way: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [way];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...way, name]));
}

test("6.3 #22 a receipt does not hold with any one member changed, under another gate's key, or with its signature bent", async () => {
  const { client } = await poor(gate);
  const signed = decodeReceiptHeader(await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu"))));
  const { public_key } = await (await served(await gate.client()("/_tollgate/receipt-key"))).json() as Table;
  assert.ok(await receiptIsSignedBy(public_key, signed));
  const ways = leaves(signed.receipt);
  assert.equal(ways.length, 15, "each member of version 1.1");
  for (const way of ways) {
    const changed: any = structuredClone(signed);
    const place = way.slice(0, -1).reduce((inner, name) => inner[name], changed.receipt);
    const name = way.at(-1)!;
    place[name] = typeof place[name] === "number" ? place[name] + 1 : `${place[name]}`.replace(/.$/, (last) => last === "0" ? "1" : "0");
    assert.equal(await receiptIsSignedBy(public_key, changed), false, way.join("."));
  }
  for (const place of [4, 40, 70, 128, 131]) {
    const bent: SignedReceipt = structuredClone(signed);
    const digit = bent.signature[place] === "0" ? "1" : "0";
    bent.signature = `${bent.signature.slice(0, place)}${digit}${bent.signature.slice(place + 1)}` as `0x${string}`;
    assert.equal(await receiptIsSignedBy(public_key, bent).catch(() => false), false, `${place}`);
  }
  const stranger = await world.gate({ secrets: { RECEIPT_SIGNING_KEY: "55".repeat(32) } });
  const theirs = await (await served(await stranger.client()("/_tollgate/receipt-key"))).json() as Table;
  assert.equal(await receiptIsSignedBy(theirs["public_key"], signed), false);
  assert.equal((await stranger.client()(`/_tollgate/receipts/${signed.receipt.id}`)).status, 404, "another tenant's");
  await stranger.stop();
});

test("6.3 #22 a receipt opens nothing: not for who paid, not for another client, on no route", async () => {
  const { client } = await poor(gate);
  const paid = await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  const receipt = paid.headers.get("x-402-receipt")!;
  const proof = { "X-402-Receipt": receipt, "X-402-Receipt-Id": decodeReceiptHeader(paid).receipt.id, "PAYMENT-RESPONSE": paid.headers.get("payment-response")! };
  await exactly(client, 3);
  const stranger = await poor(gate);
  for (const each of [client, stranger.client]) {
    for (const path of ["/cpu", "/other"]) await problem(await each(path, { headers: proof }), 402, "payment-required");
    assert.equal((await each("/cpu", { headers: { Authorization: `Payment ${receipt}` } })).status, 402);
  }
});

test("6.3 #29 KV guards nothing: with its receipts gone a payment is as spent as before, and the receipt is still had", async () => {
  const { client, denied } = await poor(gate);
  const headers = headerV2(await signV2(await world.chain.wallet(), offerV2(denied)));
  const signed = decodeReceiptHeader(await served(await client("/cpu", { headers })));
  await exactly(client, 3);
  assert.ok(await gate.forgetReceipts() >= 1);
  await problem(await client("/cpu", { headers }), 409, "payment-used");
  await exactly(client, 0);
  const found = await (await served(await gate.client()(`/_tollgate/receipts/${signed.receipt.id}`))).json() as Table;
  assert.deepEqual(found, { ...signed, status: "valid" });
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("6.3 #29 a KV that says a payment was made, or that it was not, changes no balance and settles nothing", async () => {
  const { client, denied } = await poor(gate);
  const payment = await signV2(await world.chain.wallet(), offerV2(denied));
  const donor = await poor(gate);
  const real = decodeReceiptHeader(await served(await payingV2(donor.client, await world.chain.wallet())(gate.at("/cpu"))));
  // What a late or poisoned store might hold under every name that a reader could look at.
  const kept = { signed: real, expires_at: Math.floor(Date.now() / 1000) + 600 };
  for (const name of [(payment.payload as any).authorization.nonce, "rcpt_000000000000", "balance", denied.headers.get("tollgate-request-id")!]) await gate.putReceipt(name, kept);
  await exactly(client, 0);
  await served(await client("/cpu", { headers: headerV2(payment) }));
  await exactly(client, 3);
  assert.equal(world.facilitator.calls.settle.length, 2);
});

/** A payment of an offer with other times than the stock client would sign. */
async function signFor(offer: PaymentRequired, times: Partial<Authorization>): Promise<PaymentPayload> {
  const [accepted, wallet] = [offer.accepts[0]!, await world.chain.wallet()];
  const message = authorization(wallet, accepted.payTo, accepted.amount, times);
  const payload = { signature: await signTransfer(wallet, message), authorization: message };
  return { x402Version: 2, resource: offer.resource, accepted, payload } as unknown as PaymentPayload;
}

test("6.3 #29 a payer whose clock is wrong is told so, and neither clock gives anything away", async () => {
  const { client, denied } = await poor(gate);
  const offer = offerV2(denied);
  const seconds = Math.floor(Date.now() / 1000);
  for (const [validAfter, validBefore] of [[seconds + 30, seconds + 90], [0, seconds - 30], [seconds + 3600, seconds + 3660], [seconds - 3660, seconds - 3600]]) {
    const payment = await signFor(offer, { validAfter: String(validAfter), validBefore: String(validBefore) });
    const { reason } = await refusal(await client("/cpu", { headers: headerV2(payment) }));
    assert.match(reason, /valid_(after|before)|expired/, `${validAfter} ${validBefore}`);
  }
  assert.equal(world.facilitator.calls.verify.length, 0);
  await exactly(client, 0);
});

test("6.3 #12 with no facilitator at all every kind of payment is a 503, and none is let through", async () => {
  const { client, denied } = await poor(gate);
  const offer = offerV2(denied);
  const credential = await answerOf(await world.chain.wallet(), denied, "evm");
  await world.facilitator.down();
  const payment = await signV2(await world.chain.wallet(), offer);
  const v1 = { x402Version: 1, scheme: "exact", network: "base-sepolia", payload: payment.payload };
  const seen = world.origin.seen.length;
  for (const headers of [headerV2(payment), { "X-PAYMENT": Buffer.from(JSON.stringify(v1)).toString("base64") }, { Authorization: credential }]) {
    await unavailable(await client("/cpu", { headers }), "facilitator-unavailable");
  }
  assert.equal(world.origin.seen.length, seen);
  await served(await gate.client()("/cpu"));
  assert.equal((await client("/cpu")).status, 402);
  await world.facilitator.heal();
  // The same payment is good as soon as there is one again.
  await served(await client("/cpu", { headers: headerV2(payment) }));
  await exactly(client, 3);
});
