// Paying: the stock clients of both versions pay on a real chain, a payment counts once however often and by whomever it is
// sent, and a refused one changes nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PaymentPayload } from "@x402/core/types";
import { exactly, poor, problem, refusal, remaining, served, tokens } from "./rig/answers.ts";
import { headerV1, headerV2, offerV2, payingV1, payingV2, settlement, signV2 } from "./rig/clients.ts";
import { answer } from "./rig/faulty_facilitator.ts";
import { signByHand } from "./rig/by_hand.ts";
import { PAYEE, startShared } from "./rig/world.ts";

const { world, gate } = await startShared();

for (const [version, paying, header] of [["v2", payingV2, "payment-response"], ["v1", payingV1, "x-payment-response"]] as const) {
  test(`the stock ${version} client pays and is served`, async () => {
    const { client } = await poor(gate);
    const wallet = await world.chain.wallet(5000n);
    const earned = await world.chain.balance(PAYEE);
    const paid = await served(await paying(client, wallet)(gate.at("/cpu")));
    assert.equal(remaining(paid), 3);
    assert.ok(paid.headers.has(header));
    assert.match(paid.headers.get("cache-control") ?? "", /private/);
    const { success, transaction, payer } = settlement(paid);
    assert.equal(success, true);
    assert.equal(payer?.toLowerCase(), wallet.address.toLowerCase());
    const mined = await world.chain.client.getTransactionReceipt({ hash: transaction as `0x${string}` });
    assert.equal(mined.status, "success");
    assert.equal(await world.chain.balance(wallet.address), 4000n);
    assert.equal(await world.chain.balance(PAYEE) - earned, 1000n);
    await exactly(client, 3);
  });
}

test("payments add up", async () => {
  const { client } = await poor(gate);
  const wallet = await world.chain.wallet();
  const fetch = payingV2(client, wallet);
  for (let round = 0; round < 3; round += 1) {
    await served(await fetch(gate.at("/cpu")));
    await exactly(client, 3);
  }
  assert.equal(await world.chain.balance(wallet.address), 997_000n);
});

test("6.3 #2 the same payment twenty times at once settles once and credits once", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  const headers = headerV2(await signV2(wallet, offerV2(denied)));
  const answers = await Promise.all(Array.from({ length: 20 }, () => client("/cpu", { headers })));
  for (const { status } of answers) assert.ok([200, 409, 503].includes(status), `status ${status}`);
  const admitted = answers.filter(({ status }) => status === 200).length;
  assert.ok(admitted >= 1 && admitted <= 4, `${admitted} admitted`);
  assert.equal(world.facilitator.calls.settle.length, 1);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
  // Four were credited: what the twenty did not use is left, and no more.
  await exactly(client, 4 - admitted);
});

test("two payments at once both count", async () => {
  const { client, denied } = await poor(gate);
  const wallets = await Promise.all([world.chain.wallet(), world.chain.wallet()]);
  const payments = await Promise.all(wallets.map((wallet) => signV2(wallet, offerV2(denied))));
  const answers = await Promise.all(payments.map((payment) => client("/cpu", { headers: headerV2(payment) })));
  for (const response of answers) await served(response);
  const paid = await Promise.all(wallets.map(async ({ address }) => 1_000_000n - await world.chain.balance(address)));
  // The second one is only looked at if the first had not been credited by then.
  const count = world.facilitator.calls.settle.length;
  assert.equal(paid[0]! + paid[1]!, BigInt(count) * 1000n);
  await exactly(client, count * 4 - 2);
});

test("6.3 #1 a payment that was spent is refused when nothing is left, and not settled again", async () => {
  const { client, denied } = await poor(gate);
  const headers = headerV2(await signV2(await world.chain.wallet(), offerV2(denied)));
  await served(await client("/cpu", { headers }));
  // With tokens left it is an ordinary request.
  assert.equal(remaining(await served(await client("/cpu", { headers }))), 2);
  await exactly(client, 2);
  await problem(await client("/cpu", { headers }), 409, "payment-used");
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("6.3 #3 a payment that another client has spent is refused", async () => {
  const first = await poor(gate);
  const headers = headerV2(await signV2(await world.chain.wallet(), offerV2(first.denied)));
  await served(await first.client("/cpu", { headers }));
  const second = await poor(gate);
  await problem(await second.client("/cpu", { headers }), 409, "payment-used");
  await exactly(second.client, 0);
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("6.3 #3 one authorization is one payment in both versions", async () => {
  const { client, denied } = await poor(gate);
  const payment = await signV2(await world.chain.wallet(), offerV2(denied));
  await served(await client("/cpu", { headers: headerV2(payment) }));
  await exactly(client, 3);
  const v1 = { x402Version: 1, scheme: "exact", network: "base-sepolia", payload: payment.payload };
  const headers = { "X-PAYMENT": Buffer.from(JSON.stringify(v1)).toString("base64") };
  await problem(await client("/cpu", { headers }), 409, "payment-used");
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("6.3 #4 one authorization is one payment however it is written", async () => {
  const { client, denied } = await poor(gate);
  const payment = await signV2(await world.chain.wallet(), offerV2(denied));
  await served(await client("/cpu", { headers: headerV2(payment) }));
  await exactly(client, 3);
  for (const rewritten of rewritings(payment)) {
    const response = await client("/cpu", { headers: rewritten });
    assert.ok([400, 402, 409].includes(response.status), `status ${response.status}`);
  }
  assert.equal(world.facilitator.calls.settle.length, 1);
});

function rewritings(payment: PaymentPayload): Record<string, string>[] {
  const with_ = (change: (authorization: any) => void) => {
    const copy: any = structuredClone(payment);
    change(copy.payload.authorization);
    return { "PAYMENT-SIGNATURE": Buffer.from(JSON.stringify(copy)).toString("base64") };
  };
  return [
    { "PAYMENT-SIGNATURE": Buffer.from(JSON.stringify(payment, null, 2)).toString("base64") },
    with_((authorization) => { authorization.nonce = `0x${authorization.nonce.slice(2).toUpperCase()}`; }),
    with_((authorization) => { authorization.from = authorization.from.toLowerCase(); }),
    with_((authorization) => { authorization.value = "01000"; }),
    with_((authorization) => { authorization.value = "0x3e8"; }),
    with_((authorization) => { authorization.value = 1000; }),
  ];
}

test("a payer without money is refused, with the facilitator's reason", async () => {
  const { client } = await poor(gate);
  const before = world.origin.seen.length;
  const wallet = await world.chain.wallet(0n);
  const refused = await payingV2(client, wallet)(gate.at("/cpu"));
  const body = await refusal(refused);
  assert.equal(body["reason"], "invalid_exact_evm_transaction_simulation_failed");
  assert.equal(world.facilitator.calls.settle.length, 0);
  assert.equal(world.origin.seen.length, before);
  assert.ok(await tokens(client) < 1);
});

test("a verification that is refused in a 400 is a refusal all the same", async () => {
  const { client } = await poor(gate);
  world.facilitator.next("verify", answer(400, { isValid: false, invalidReason: "insufficient_funds", payer: "" }));
  const refused = await refusal(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  assert.equal(refused["reason"], "insufficient_funds");
  assert.equal(world.facilitator.calls.settle.length, 0);
  await exactly(client, 0);
});

for (const [dialect, status, body] of [
  ["200 with success: false", 200, { success: false, errorReason: "insufficient_funds", transaction: "", network: "eip155:84532" }],
  ["400 with success: false", 400, { success: false, errorReason: "insufficient_funds", transaction: "", network: "" }],
] as const) {
  test(`a settlement that is refused (${dialect}) gives nothing, and another payment is welcome`, async () => {
    const { client } = await poor(gate);
    const wallet = await world.chain.wallet();
    world.facilitator.next("settle", answer(status, { ...body, payer: wallet.address }));
    const refused = await refusal(await payingV2(client, wallet)(gate.at("/cpu")));
    assert.equal(refused["reason"], "insufficient_funds");
    assert.ok(await tokens(client) < 1);
    await served(await payingV2(client, wallet)(gate.at("/cpu")));
    await exactly(client, 3);
    assert.equal(await world.chain.balance(wallet.address), 999_000n);
  });
}

for (const [what, change] of [
  ["amount", (accepted: any) => { accepted.amount = "1"; }],
  ["payee", (accepted: any) => { accepted.payTo = "0x000000000000000000000000000000000000dEaD"; }],
  ["asset", (accepted: any) => { accepted.asset = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"; }],
  ["network", (accepted: any) => { accepted.network = "eip155:8453"; }],
  ["timeout", (accepted: any) => { accepted.maxTimeoutSeconds = 3600; }],
  ["domain", (accepted: any) => { accepted.extra.name = "USD Coin"; }],
] as const) {
  test(`6.3 #5 an offer that the client has changed (${what}) is not accepted, and the facilitator not asked`, async () => {
    const { client, denied } = await poor(gate);
    const offer = structuredClone(offerV2(denied));
    change(offer.accepts[0]);
    const wallet = await world.chain.wallet();
    const payment = await signByHand(wallet, offer);
    await refusal(await client("/cpu", { headers: headerV2(payment) }));
    assert.equal(world.facilitator.calls.verify.length + world.facilitator.calls.settle.length, 0);
    await exactly(client, 0);
  });
}

test("6.3 #7 an authorization that has expired is refused, and the facilitator not asked to settle it", async () => {
  const { client, denied } = await poor(gate);
  const payment = await signByHand(await world.chain.wallet(), offerV2(denied), -1);
  await refusal(await client("/cpu", { headers: headerV2(payment) }));
  assert.equal(world.facilitator.calls.settle.length, 0);
  await exactly(client, 0);
});

test("6.3 #5 members that a client adds to `extra` do no harm", async () => {
  const { client, denied } = await poor(gate);
  const payment = structuredClone(await signV2(await world.chain.wallet(), offerV2(denied)));
  (payment as any).accepted.extra.note = "mine";
  await served(await client("/cpu", { headers: headerV2(payment) }));
});

test("6.3 #6 an authorization over another amount than was offered is refused", async () => {
  const { client, denied } = await poor(gate);
  const payment = structuredClone(await signV2(await world.chain.wallet(), offerV2(denied)));
  (payment.payload as any).authorization.value = "999";
  await refusal(await client("/cpu", { headers: headerV2(payment) }));
  await exactly(client, 0);
});

test("6.3 #8 a signature by somebody else is refused", async () => {
  const { client, denied } = await poor(gate);
  const payment = structuredClone(await signV2(await world.chain.wallet(), offerV2(denied)));
  (payment.payload as any).authorization.from = (await world.chain.wallet()).address;
  await refusal(await client("/cpu", { headers: headerV2(payment) }));
  assert.equal(world.facilitator.calls.settle.length, 0);
});

test("a v1 payment by hand is told from a v2 payment by its header", async () => {
  const { client, denied } = await poor(gate);
  const { accepts: [requirement] } = await denied.json() as any;
  const paid = await served(await client("/cpu", { headers: await headerV1(await world.chain.wallet(), requirement) }));
  assert.ok(paid.headers.has("x-payment-response"));
  assert.equal(world.facilitator.calls.settle[0]!.body.x402Version, 1);
});
