// The official `payment-identifier` extension: a client names its payment, and cannot send two under one name.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { appendPaymentIdentifierToExtensions, generatePaymentId, isPaymentIdentifierRequired } from "@x402/extensions/payment-identifier";
import type { PaymentPayload, PaymentRequired } from "@x402/core/types";
import { exactly, poor, problem, refusal, served } from "./rig/answers.ts";
import { headerV1, headerV2, offerV2, payingV2, settlement, signV2 } from "./rig/clients.ts";
import { answer } from "./rig/faulty_facilitator.ts";
import type { Gate } from "./rig/gate.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;
let strict: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate();
  strict = await world.gate({ payment: { payment_identifier: "required" } });
});

after(async () => await world.stop());

/** A payment for the offer under that name, as a stock client with the extension sends it. */
async function named(offer: PaymentRequired, id: string): Promise<PaymentPayload> {
  const challenge = structuredClone(offer);
  appendPaymentIdentifierToExtensions(challenge.extensions!, id);
  return await signV2(await world.chain.wallet(), challenge);
}

test("the same name and payment again settles nothing more, and tells what the first one did", async () => {
  const { client, denied } = await poor(gate);
  const payment = await named(offerV2(denied), generatePaymentId());
  await world.facilitator.heal();
  const paid = await served(await client("/cpu", { headers: headerV2(payment) }));
  await exactly(client, 3);
  const again = await client("/cpu", { headers: headerV2(payment) });
  assert.equal(settlement(again).transaction, settlement(paid).transaction);
  await problem(again, 409, "payment-used");
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("another payment under the same name is a conflict, before anybody is asked", async () => {
  const { client, denied } = await poor(gate);
  const id = generatePaymentId();
  const [first, second] = [await named(offerV2(denied), id), await named(offerV2(denied), id)];
  await served(await client("/cpu", { headers: headerV2(first) }));
  await exactly(client, 3);
  await world.facilitator.heal();
  const conflict = await problem(await client("/cpu", { headers: headerV2(second) }), 409, "payment-used");
  assert.match(conflict["detail"], /payment-identifier/);
  assert.equal(world.facilitator.calls.verify.length, 0);
  // Under a name of its own it is welcome, and so is the name to another client.
  await served(await client("/cpu", { headers: headerV2(await named(offerV2(denied), generatePaymentId())) }));
  const { client: other, denied: asked } = await poor(gate);
  await served(await other("/cpu", { headers: headerV2(await named(offerV2(asked), id)) }));
});

test("two payments at once under one name: one is taken", async () => {
  const { client, denied } = await poor(gate);
  const id = generatePaymentId();
  const payments = await Promise.all([1, 2].map(async () => await named(offerV2(denied), id)));
  await world.facilitator.heal();
  const answers = await Promise.all(payments.map(async (payment) => await client("/cpu", { headers: headerV2(payment) })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("a name is free again when nothing came of its payment", async () => {
  const { client, denied } = await poor(gate);
  const id = generatePaymentId();
  world.facilitator.next("verify", answer(200, { isValid: false, invalidReason: "insufficient_funds" }));
  await refusal(await client("/cpu", { headers: headerV2(await named(offerV2(denied), id)) }));
  await served(await client("/cpu", { headers: headerV2(await named(offerV2(denied), id)) }));
});

test("a name that is none is a bad payment", async () => {
  const { client, denied } = await poor(gate);
  const payment = await signV2(await world.chain.wallet(), offerV2(denied));
  const extensions = { "payment-identifier": { info: { required: false, id: "too short" } } };
  const bad = await problem(await client("/cpu", { headers: headerV2({ ...payment, extensions }) }), 400, "bad-payment");
  assert.match(bad["detail"], /PAYMENT-SIGNATURE has an extensions\["payment-identifier"\]\.info\.id that is not 16 to 128/);
});

test("where a name is required, a v2 payment without one is a bad payment, and v1 has none", async () => {
  const { client, denied } = await poor(strict);
  const challenge = offerV2(denied);
  assert.equal(isPaymentIdentifierRequired(challenge.extensions!["payment-identifier"]), true);
  const wallet = await world.chain.wallet();
  await world.facilitator.heal();
  const refused = await payingV2(client, wallet)(strict.at("/cpu"));
  const bad = await problem(refused, 400, "bad-payment");
  assert.match(bad["detail"], /must name the payment/);
  assert.equal(world.facilitator.calls.verify.length, 0);
  await served(await client("/cpu", { headers: headerV2(await named(challenge, generatePaymentId())) }));
  const { client: older, denied: asked } = await poor(strict);
  const { accepts } = await asked.json() as { accepts: unknown[] };
  await served(await older("/cpu", { headers: await headerV1(wallet, accepts[0]) }));
});

test("where names are off none is asked for, and one that comes all the same is not looked at", async () => {
  const off = await world.gate({ payment: { payment_identifier: "off" } });
  const { client, denied } = await poor(off);
  const challenge = offerV2(denied);
  assert.equal(challenge.extensions?.["payment-identifier"], undefined);
  const payment = await signV2(await world.chain.wallet(), challenge);
  const extensions = { "payment-identifier": { info: { required: false, id: "too short" } } };
  await served(await client("/cpu", { headers: headerV2({ ...payment, extensions }) }));
});
