// The token bucket as a client meets it: what is free, when it comes back, what a payment adds, and that nobody else notices.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exactly, exhaust, poor, remaining, retryAfter, served, tokens } from "./rig/answers.ts";
import { headerV2, offerV2, payingV2, signV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { sleep } from "./rig/eventually.ts";
import { honest } from "./rig/faulty_facilitator.ts";
import type { Gate } from "./rig/gate.ts";
import { PAYEE, bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
/** Four tokens, four a second. */
let quick: Gate;
/** Four tokens that as good as never come back. */
let slow: Gate;

before(async () => {
  world = await startWorld();
  quick = await world.gate({ plans: bucketPlan({ bucket: { capacity: 4, refill_rate: 4 } }) });
  slow = await world.gate();
  // Compiling the worker takes longer than the fractions of a second that are measured here.
  await served(await quick.client()("/cpu"));
});

after(async () => await world.stop());

/** Sends `count` requests at once: how many were served, and in how many milliseconds that was. */
async function burst(client: Fetch, count: number): Promise<{ admitted: number; ms: number }> {
  const start = performance.now();
  const answers = await Promise.all(Array.from({ length: count }, () => client("/cpu")));
  const ms = performance.now() - start;
  for (const { status } of answers) assert.ok(status === 200 || status === 402, `status ${status}`);
  return { admitted: answers.filter(({ status }) => status === 200).length, ms };
}

/** Four, and what accrues at four a second while the burst lasts: nothing, unless the machine is slow. */
function assertFour({ admitted, ms }: { admitted: number; ms: number }): void {
  const most = 4 + Math.floor(ms * 4 / 1000);
  assert.ok(admitted >= 4 && admitted <= most, `${admitted} admitted, not 4 to ${most} (${ms} ms)`);
}

test("four requests are served, one after the other, and the fifth is told when and for how much", async () => {
  const client = slow.client();
  await exhaust(client);
  const denied = await client("/cpu");
  assert.equal(denied.status, 402);
  assert.equal(remaining(denied), 0);
  const { accepts } = offerV2(denied);
  assert.equal(accepts.length, 1);
  const [{ scheme, network, amount, payTo }] = accepts as [typeof accepts[0] & object];
  assert.deepEqual({ scheme, network, amount, payTo }, { scheme: "exact", network: "eip155:84532", amount: "1000", payTo: PAYEE });
});

test("four of ten requests at once are served", async () => assertFour(await burst(quick.client(), 10)));

test("one second after exhaustion there are four again", async () => {
  const client = quick.client();
  assertFour(await burst(client, 10));
  await sleep(1000);
  assertFour(await burst(client, 10));
});

test("three seconds after exhaustion there are still no more than four", async () => {
  const client = quick.client();
  assertFour(await burst(client, 10));
  await sleep(3000);
  assertFour(await burst(client, 10));
});

test("Retry-After is a promise: a second earlier is too early, and then a request is served", async () => {
  const half = await world.gate({ plans: bucketPlan({ bucket: { capacity: 4, refill_rate: 0.5 } }) });
  const { client, denied } = await poor(half);
  assert.equal(retryAfter(denied), 2);
  await sleep(1000);
  assert.equal((await client("/cpu")).status, 402);
  await sleep(1000);
  await served(await client("/cpu"));
  await half.stop();
});

test("Retry-After names the time until the next whole token", async () => {
  const { denied } = await poor(slow);
  // One token at 0.001 a second takes 1000 s, of which what this test has lasted has passed.
  const seconds = retryAfter(denied);
  assert.ok(seconds > 980 && seconds <= 1000, `${seconds}`);
});

test("a payment with nothing left leaves three after the paid request", async () => {
  const { client } = await poor(slow);
  const paid = await served(await payingV2(client, await world.chain.wallet())(slow.at("/cpu")));
  assert.equal(remaining(paid), 3);
  await exactly(client, 3);
});

test("what comes back while the payment is on its way counts, and no more", async () => {
  const half = await world.gate({ plans: bucketPlan({ bucket: { capacity: 4, refill_rate: 0.5 } }) });
  const client = half.client();
  const wallet = await world.chain.wallet();
  const start = performance.now();
  await exhaust(client);
  world.facilitator.next("settle", async (call) => {
    await sleep(600);
    await honest(call);
  });
  await served(await payingV2(client, wallet)(half.at("/cpu")));
  const left = await tokens(client);
  const most = 3 + 0.5 * (performance.now() - start) / 1000;
  await half.stop();
  // 0.6 s at half a token a second, and four that were paid for, less the one that was used.
  assert.ok(left >= 3.3 && left <= most, `${left}, not 3.3 to ${most}`);
});

test("tokens that were paid for do not go away while they are not used", async () => {
  const { client } = await poor(quick);
  await served(await payingV2(client, await world.chain.wallet())(quick.at("/cpu")));
  await sleep(1200);
  const left = await tokens(client);
  assert.ok(left >= 4, `${left}`);
});

test("another client has its own four", async () => {
  const { client } = await poor(slow);
  await exhaust(slow.client());
  await exactly(client, 0);
});

test("addresses of one IPv6 /64 are one client", async () => {
  await exhaust(slow.client("2001:db8:1:2::1"));
  assert.equal((await slow.client("2001:db8:1:2:ffff::9")("/cpu")).status, 402);
  await served(await slow.client("2001:db8:1:3::1")("/cpu"));
});

test("forwarding headers do not make another client", async () => {
  const { client } = await poor(slow);
  const headers = { "X-Forwarded-For": "192.0.2.77", "X-Real-IP": "192.0.2.77", "Forwarded": "for=192.0.2.77", "True-Client-IP": "192.0.2.77" };
  assert.equal((await client("/cpu", { headers })).status, 402);
});

test("with two tokens left a payment header is neither verified nor settled", async () => {
  const { denied } = await poor(slow);
  const payment = await signV2(await world.chain.wallet(), offerV2(denied));
  const client = slow.client();
  await served(await client("/cpu"));
  await served(await client("/cpu"));
  await world.facilitator.heal();
  const answer = await served(await client("/cpu", { headers: headerV2(payment) }));
  assert.equal(remaining(answer), 1);
  assert.equal(world.facilitator.calls.verify.length + world.facilitator.calls.settle.length, 0);
  assert.equal(answer.headers.has("payment-response"), false);
  await exactly(client, 1);
});
