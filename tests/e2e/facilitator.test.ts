// A facilitator that is down, slow, broken or lying: nobody is served for nothing, nobody is asked to pay twice, and a payment
// that was begun counts exactly once in the end.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { exactly, poor, served, tokens, unavailable } from "./rig/answers.ts";
import type { Wallet } from "./rig/chain.ts";
import type { Fetch } from "./rig/clients.ts";
import { headerV2, offerV2, signV2 } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { answer, forwardThenAnswer, forwardThenCut, html, redirect, reset, stall } from "./rig/faulty_facilitator.ts";
import type { Fault } from "./rig/faulty_facilitator.ts";
import type { Gate } from "./rig/gate.ts";
import { PAYEE, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate({ payment: { verify_timeout: "1s", settle_timeout: "2s" } });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

/** A client with nothing left, and a signed payment for what it was offered. */
async function payer(): Promise<{ client: Fetch; wallet: Wallet; headers: Record<string, string> }> {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  return { client, wallet, headers: headerV2(await signV2(wallet, offerV2(denied))) };
}

/** What does not come from a facilitator that works, for both calls. */
const NO_ANSWER: [string, Fault][] = [
  ["does not answer", stall],
  ["resets the connection", reset],
  ["answers 500 with HTML", html(500)],
  ["answers 200 with HTML", html(200)],
  ["answers half a JSON", answer(200, "{\"isValid\":tr")],
  ["answers {}", answer(200, {})],
  ["answers []", answer(200, [])],
  ["answers an empty 200", answer(200, "")],
  ["answers 429", answer(429, { error: "slow down" }, { "retry-after": "5" })],
];

for (const [what, fault] of NO_ANSWER) {
  test(`6.3 #11 /verify ${what}: 503, and the same payment is good later`, async () => {
    const { client, wallet, headers } = await payer();
    world.facilitator.next("verify", fault);
    await unavailable(await client("/cpu", { headers }), "facilitator-unavailable");
    assert.equal(world.facilitator.calls.settle.length, 0);
    await paidOnce(client, wallet, headers);
  });
}

for (const [what, fault] of NO_ANSWER) {
  test(`6.3 #11 /settle ${what}: 503, and the payment counts once in the end, without the client`, async () => {
    const { client, wallet, headers } = await payer();
    world.facilitator.next("settle", fault);
    await unavailable(await client("/cpu", { headers }));
    await creditedByItself(client, wallet);
  });
}

/** Answers that say the payment went through, or seem to, and cannot be believed. */
const LIES: [string, Fault][] = [
  ["is cut off after settling", forwardThenCut],
  ["answers too late", async (call) => { await call.forward(); }],
  ["says success in a 502", answer(502, { success: true, transaction: `0x${"ab".repeat(32)}`, network: "eip155:84532" })],
  ["says success without a transaction", forwardThenAnswer(200, (real) => ({ ...real, transaction: "" }))],
  ["says success on another network", forwardThenAnswer(200, (real) => ({ ...real, network: "eip155:8453" }))],
  ["says success for another payer", forwardThenAnswer(200, (real) => ({ ...real, payer: PAYEE }))],
  ["says settlement_pending", forwardThenAnswer(200, (real) => ({ ...real, success: false, errorReason: "settlement_pending" }))],
];

for (const [what, fault] of LIES) {
  test(`6.3 #11 /settle ${what}: 503, and the payment counts once in the end, without the client`, async () => {
    const { client, wallet, headers } = await payer();
    world.facilitator.next("settle", fault);
    await unavailable(await client("/cpu", { headers }));
    await creditedByItself(client, wallet);
  });
}

test("6.3 #11 connections refused at /verify: 503, and the same payment is good later", async () => {
  const { client, wallet, headers } = await payer();
  await world.facilitator.down();
  await unavailable(await client("/cpu", { headers }), "facilitator-unavailable");
  await world.facilitator.heal();
  await paidOnce(client, wallet, headers);
});

test("6.3 #11 #26 a redirect is no answer and is not followed", async () => {
  const { client, wallet, headers } = await payer();
  world.facilitator.next("verify", redirect(`${world.origin.url}/verify`));
  const before = world.origin.seen.length;
  await unavailable(await client("/cpu", { headers }), "facilitator-unavailable");
  assert.equal(world.origin.seen.length, before);
  await paidOnce(client, wallet, headers);
});

test("6.3 #11 a contradiction in /verify is no answer", async () => {
  const { client, wallet, headers } = await payer();
  world.facilitator.next("verify", answer(502, { isValid: true }));
  await unavailable(await client("/cpu", { headers }), "facilitator-unavailable");
  await paidOnce(client, wallet, headers);
});

test("6.3 #11 while the outcome is unknown, plain requests are told to wait and not to pay again", async () => {
  const { client, wallet, headers } = await payer();
  // The alarm finds it no better, so that there is time to look.
  world.facilitator.next("settle", stall, html(500));
  await unavailable(await client("/cpu", { headers }));
  await unavailable(await client("/cpu"), "payment-pending");
  await creditedByItself(client, wallet);
});

test("6.3 #12 while the facilitator is down, what is free stays free and offers stay offers", async () => {
  await world.facilitator.down();
  const { client } = await poor(gate);
  assert.equal((await client("/cpu")).status, 402);
  await world.facilitator.heal();
});

test("a second facilitator is asked when the first cannot be reached", async () => {
  const two = await world.gate({ payment: { facilitators: ["http://127.0.0.1:9", world.facilitator.url] } });
  const { client, denied } = await poor(two);
  const wallet = await world.chain.wallet();
  await served(await client("/cpu", { headers: headerV2(await signV2(wallet, offerV2(denied))) }));
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
  await two.stop();
});

/** The client sends the same payment again, and is served; the money has moved once, and four tokens were credited. */
async function paidOnce(client: Fetch, wallet: Wallet, headers: Record<string, string>): Promise<void> {
  await served(await client("/cpu", { headers }));
  await exactly(client, 3);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
}

/** The client does nothing, and four tokens appear; the money has moved once. */
async function creditedByItself(client: Fetch, wallet: Wallet): Promise<void> {
  await eventually("the payment is credited", async () => await tokens(client) >= 4 ? true : undefined);
  await exactly(client, 4);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
}
