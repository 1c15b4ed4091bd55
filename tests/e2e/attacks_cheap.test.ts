// Bad payments are cheap for the gate: what cannot be right is refused before anybody is asked, and who sends too much of it
// must wait. The numbers are those of the list in docs/security.md.
import assert from "node:assert/strict";
import { test } from "node:test";
import { poor, problem, refusal, retryAfter, served } from "./rig/answers.ts";
import { newWallet } from "./rig/chain.ts";
import type { Fetch } from "./rig/clients.ts";
import { headerV2, offerV2, signV2 } from "./rig/clients.ts";
import { startShared } from "./rig/world.ts";

/** As many payments of a client may fail at once. */
const FORGIVEN = 20;

const { world, gate } = await startShared();

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** Headers that cost the sender little and are meant to cost the reader much. */
const BOMBS: [string, string][] = [
  ["8 kB of nothing", base64(" ".repeat(6 * 1024))],
  ["16 kB and a byte", "A".repeat(16 * 1024 + 1)],
  ["64 kB", base64("x".repeat(48 * 1024))],
  ["deep nesting", base64("[".repeat(6000) + "]".repeat(6000))],
  ["nesting within a payment", base64(`{"x402Version":2,"accepted":${"{\"a\":".repeat(900)}1${"}".repeat(900)},"payload":{}}`)],
  ["a huge integer for a version", base64(`{"x402Version":${"9".repeat(5000)},"accepted":{},"payload":{}}`)],
  ["a number that is no number", base64("{\"x402Version\":1e999,\"accepted\":{},\"payload\":{}}")],
];

test("6.3 #17 a payment header that is too large or cannot be read is a 400, asks nobody, and counts against its sender", async () => {
  const { client } = await poor(gate);
  const seen = world.origin.seen.length;
  for (const [what, value] of BOMBS) {
    const body = await problem(await client("/cpu", { headers: { "PAYMENT-SIGNATURE": value } }), 400, "bad-payment");
    assert.match(body["detail"], /PAYMENT-SIGNATURE/i, what);
  }
  for (let count = BOMBS.length; count < FORGIVEN; count += 1) {
    await problem(await client("/cpu", { headers: { "X-PAYMENT": "%%%" } }), 400, "bad-payment");
  }
  await tooMany(await client("/cpu", { headers: { "PAYMENT-SIGNATURE": BOMBS[0]![1] } }));
  assert.equal(world.facilitator.calls.verify.length + world.facilitator.calls.settle.length, 0);
  assert.equal(world.origin.seen.length, seen);
});

test("6.3 #18 a flood of payments from empty wallets asks the facilitator as often as a client may fail, and then it waits", async () => {
  const { client, denied } = await poor(gate);
  const offer = offerV2(denied);
  for (let count = 0; count < FORGIVEN; count += 1) {
    await refusal(await client("/cpu", { headers: headerV2(await signV2(newWallet(), offer)) }));
  }
  await tooMany(await client("/cpu", { headers: headerV2(await signV2(newWallet(), offer)) }));
  assert.equal(world.facilitator.calls.verify.length, FORGIVEN);
  assert.equal((await client("/cpu")).status, 402, "the offer stands");
  await otherClientPays();
});

test("6.3 #18 forty garbage signatures at once ask the facilitator no oftener than a client may fail", async () => {
  const { client, denied } = await poor(gate);
  const payments = await Promise.all(Array.from({ length: 40 }, () => garbage(offerV2(denied))));
  const answers = await Promise.all(payments.map((headers) => client("/cpu", { headers })));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([402, 429]));
  assert.equal(world.facilitator.calls.verify.length, FORGIVEN);
  assert.equal(world.facilitator.calls.settle.length, 0);
  await otherClientPays();
});

test("6.3 #18 what is refused before anybody is asked counts as well", async () => {
  const { client, denied } = await poor(gate);
  const payment: any = structuredClone(await signV2(newWallet(), offerV2(denied)));
  payment.accepted.amount = "1";
  for (let count = 0; count < FORGIVEN; count += 1) await refusal(await client("/cpu", { headers: headerV2(payment) }));
  await tooMany(await client("/cpu", { headers: headerV2(payment) }));
  assert.equal(world.facilitator.calls.verify.length, 0);
});

/** A payment whose signature is one of nobody. */
async function garbage(offer: ReturnType<typeof offerV2>): Promise<Record<string, string>> {
  const payment: any = structuredClone(await signV2(newWallet(), offer));
  payment.payload.signature = `0x${"5a".repeat(65)}`;
  return headerV2(payment);
}

async function tooMany(response: Response): Promise<void> {
  const wait = retryAfter(response);
  assert.ok(wait >= 1 && wait <= 3, `${wait}`);
  await problem(response, 429, "too-many-failures");
}

async function otherClientPays(): Promise<void> {
  const other: { client: Fetch; denied: Response } = await poor(gate);
  const headers = headerV2(await signV2(await world.chain.wallet(), offerV2(other.denied)));
  await served(await other.client("/cpu", { headers }));
}
