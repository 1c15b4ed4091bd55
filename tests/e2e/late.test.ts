// A payment that is sent again when its time is over: who presented it in time is told what became of it, and never asked to pay
// a second time; one that nobody knows is refused.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { exactly, exhaust, problem, refusal, served, unavailable } from "./rig/answers.ts";
import { headerV1, headerV2, offerV2, signV2 } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { html } from "./rig/faulty_facilitator.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

const PLANS: Table = {
  free: {
    endpoints: {
      "*": { bucket: { capacity: 1, refill_rate: 0.000_001 }, over_limit: "pay", price: "0.001", refill: 2 },
      "/echo/*": { payment: "always", price: "0.002" },
    },
  },
};

before(async () => {
  world = await startWorld();
  gate = await world.gate({ plans: PLANS, platform: "moved_clock.js", payment: { settle_timeout: "2s" } });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

/** What the gate's clock was moved to. */
let clock = Date.now();

/** Lets the time of every payment that was signed be over: a minute. */
async function outlive(): Promise<void> {
  clock = Math.max(clock, Date.now()) + 70_000;
  await gate.clock(clock);
}

/** Signs on the gate's clock, not on the machine's. */
async function signed<T>(sign: () => Promise<T>): Promise<T> {
  const { now } = Date;
  const ahead = Math.max(0, clock - now());
  Date.now = () => now() + ahead;
  try {
    return await sign();
  } finally {
    Date.now = now;
  }
}

for (const version of ["v1", "v2"] as const) {
  test(`one call that was sold (${version}): its answer is kept longer than its payment is good`, async () => {
    const client = gate.client();
    const wallet = await world.chain.wallet();
    const denied = await client("/echo/late");
    const [requirement] = (await denied.clone().json() as Table)["accepts"];
    const headers = await signed(async () => version === "v1" ? await headerV1(wallet, requirement) : headerV2(await signV2(wallet, offerV2(denied))));
    const first = await (await served(await client("/echo/late", { headers }))).text();
    await outlive();
    assert.equal(await (await served(await client("/echo/late", { headers }))).text(), first);
    assert.equal(world.facilitator.calls.settle.length, 1);
    assert.equal(await world.chain.balance(wallet.address), 998_000n);
  });
}

test("a refill in doubt: 503 also after its time, and 409 once it is used up", async () => {
  const client = gate.client();
  const wallet = await world.chain.wallet();
  await exhaust(client, "/cpu", 1);
  const headers = headerV2(await signed(async () => await signV2(wallet, offerV2(await client("/cpu")))));
  world.facilitator.always("settle", html(500));
  await unavailable(await client("/cpu", { headers }));
  await outlive();
  await unavailable(await client("/cpu", { headers }), "payment-pending");
  await world.facilitator.heal();
  // The alarm backs off by the clock that the gate sees.
  await eventually("the payment is credited", async () => {
    await outlive();
    return (await client("/cpu")).status === 200 ? true : undefined;
  });
  await exactly(client, 1);
  const used = await problem(await client("/cpu", { headers }), 409, "payment-used");
  assert.match(used["detail"], /credited before/);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
});

test("one that nobody presented in its time is refused, and nobody is asked about it", async () => {
  const client = gate.client();
  const wallet = await world.chain.wallet();
  await exhaust(client, "/cpu", 1);
  const headers = headerV2(await signed(async () => await signV2(wallet, offerV2(await client("/cpu")))));
  await outlive();
  for (let again = 0; again < 2; again += 1) {
    assert.match((await refusal(await client("/cpu", { headers })))["reason"], /valid_before/);
  }
  assert.equal(world.facilitator.calls.verify.length + world.facilitator.calls.settle.length, 0);
  assert.equal(await world.chain.balance(wallet.address), 1_000_000n);
});
