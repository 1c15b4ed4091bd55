// Decisions for backends that do not stand behind the gate: they ask whether a request may pass, and tell how it ended.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { problem, served } from "./rig/answers.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { HOUR, attempt, end, post, standing, startLimits, until, windowEnd } from "./rig/limits.ts";

let gate: Gate;

before(async () => {
  ({ gate } = await startLimits({
    endpoints: {
      "gpt-4o": { fixed_windows: [{ window: "2s", limit: 100, unit_type: "token" }], max_concurrent: 1, concurrency_expiry: "60s" },
      "three": { fixed_windows: [{ window: "1h", limit: 3 }] },
      "turn": { fixed_windows: [{ window: "2s", limit: 1 }] },
      "slot": { max_concurrent: 1, concurrency_expiry: "60s" },
      "tokens": { fixed_windows: [{ window: "1h", limit: 100, unit_type: "token" }] },
    },
  }));
});

after(stopAll);

/** Somebody of whom the backend asks, whose limits and bill can be read from the same address. */
function caller() {
  const ip = freshAddress();
  const account = `ip:${ip}`;
  const client = gate.client(ip);
  return {
    account,
    ask: async (endpoint: string, request_id: string = randomUUID(), units?: Table) =>
      await attempt(gate, { request_id, account, endpoint, ...(units && { units }) }),
    left: async (endpoint: string, unit = "request") => (await standing(client, endpoint, unit))["remaining"] as number,
    bill: async () => await (await served(await client("/_tollgate/usage"))).json() as Table,
  };
}

test("of 100 tokens, 10 at first and 200 at the end: 210 are used, the slot is free, and the next request waits for the window", async () => {
  const { ask, left } = caller();
  const turns = await windowEnd(2000, 1700);
  const first = randomUUID();
  const { allowed, limits } = await ask("gpt-4o", first, { token: 10 });
  assert.equal(allowed, true);
  assert.ok(Array.isArray(limits));
  assert.equal(await left("gpt-4o", "token"), 90);
  const busy = await ask("gpt-4o", randomUUID(), { token: 10 });
  assert.equal(busy["allowed"], false);
  assert.match(busy["reason"], /concurren/i);
  await end(gate, { request_id: first, units: { token: 200 } });
  assert.equal(await left("gpt-4o", "token"), 0);
  const second = randomUUID();
  const denied = await ask("gpt-4o", second, { token: 10 });
  assert.equal(denied["allowed"], false);
  assert.doesNotMatch(denied["reason"], /concurren/i);
  const wait = denied["retry_after_ms"];
  assert.ok(wait > 0 && Math.abs(Date.now() + wait - turns) < 300, `${wait}`);
  await until(turns);
  assert.equal((await ask("gpt-4o", second, { token: 10 }))["allowed"], true);
});

test("what was used past the limit is on the bill", async () => {
  const { ask, bill } = caller();
  const request_id = randomUUID();
  await ask("tokens", request_id, { token: 10 });
  await end(gate, { request_id, units: { token: 200 } });
  const { calls, units } = await bill();
  assert.equal(calls, 1);
  assert.deepEqual(units, { request: 1, token: 210 });
});

test("a request that is asked for again gets the same answer and counts once, also when it is asked for at the same time", async () => {
  await windowEnd(HOUR, 5000);
  const { ask, left, bill } = caller();
  const id = randomUUID();
  for (let count = 0; count < 5; count += 1) assert.equal((await ask("three", id))["allowed"], true);
  assert.equal(await left("three"), 2);
  const other = randomUUID();
  for (const { allowed } of await Promise.all(Array.from({ length: 20 }, () => ask("three", other)))) assert.equal(allowed, true);
  assert.equal(await left("three"), 1);
  assert.equal((await bill())["calls"], 2);
});

test("a request that was denied stays denied while the limit holds, counts nowhere, and passes later", async () => {
  const { ask, bill } = caller();
  const turns = await windowEnd(2000, 1000);
  const [first, denied] = [randomUUID(), randomUUID()];
  assert.equal((await ask("turn", first))["allowed"], true);
  for (let count = 0; count < 3; count += 1) {
    const { allowed, retry_after_ms } = await ask("turn", denied);
    assert.equal(allowed, false);
    assert.ok(retry_after_ms > 0 && retry_after_ms <= 2000, `${retry_after_ms}`);
  }
  await until(turns);
  assert.equal((await ask("turn", denied))["allowed"], true);
  assert.equal((await ask("turn", denied))["allowed"], true);
  assert.equal((await bill())["calls"], 2);
});

for (const [what, endpoint] of [["admitted", "three"], ["denied", "slot"]] as const) {
  test(`the id of a request that was ${what} is good for no other account and no other endpoint`, async () => {
    const { account, ask } = caller();
    if (what === "denied") await ask(endpoint);
    const request_id = randomUUID();
    assert.equal((await ask(endpoint, request_id))["allowed"], what === "admitted");
    for (const body of [{ request_id, account: `ip:${freshAddress()}`, endpoint }, { request_id, account, endpoint: "tokens" }]) {
      assert.equal((await post(gate, "/attempt", body)).status, 409);
    }
  });
}

test("a request attempted in one place and ended in another, after a crash of the first, frees its slot and counts its units", async () => {
  const { ask, left } = caller();
  const [slot, tokens] = [randomUUID(), randomUUID()];
  assert.equal((await ask("slot", slot))["allowed"], true);
  assert.equal((await ask("tokens", tokens, { token: 10 }))["allowed"], true);
  await gate.kill();
  await gate.restart();
  assert.equal((await ask("slot"))["allowed"], false);
  assert.equal((await ask("slot", slot))["allowed"], true, "it is still the same request");
  await end(gate, { request_id: slot });
  await end(gate, { request_id: tokens, units: { token: 15 } });
  assert.equal((await ask("slot"))["allowed"], true);
  assert.equal(await left("tokens", "token"), 75);
});

test("an end that is told again counts once, also when it is told at the same time", async () => {
  await windowEnd(HOUR, 3000);
  const { ask, left } = caller();
  const request_id = randomUUID();
  await ask("tokens", request_id, { token: 10 });
  const tell = async () => await (await post(gate, "/end", { request_id, units: { token: 20 } })).text();
  await Promise.all(Array.from({ length: 10 }, tell));
  await tell();
  assert.equal(await left("tokens", "token"), 70);
});

test("the end of a request that nobody attempted is a 404", async () => {
  await problem(await post(gate, "/end", { request_id: randomUUID(), units: {} }), 404, "unknown-request");
});
