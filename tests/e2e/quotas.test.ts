// Quotas of days and months: what happens over them, and what the bill says.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, retryAfter, served, whole } from "./rig/answers.ts";
import { payingV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { ADMIN_TOKEN, DAY, attempt, end, standing, windowEnd } from "./rig/limits.ts";
import { issue, order, ordered } from "./rig/owner.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;
let midnight: number;

before(async () => {
  world = await startWorld();
  const day = { period: "day", limit: 50, unit_type: "token" };
  gate = await world.gate({
    plans: {
      free: {
        endpoints: {
          "/block": { quotas: [day] },
          "/short": { quotas: [{ period: "day", limit: 3 }] },
          "/sold": { quotas: [{ period: "month", limit: 2, over_quota: 402 }], price: "0.001" },
          "/overage": { quotas: [{ ...day, limit: 5, unit_type: "request", over_quota: "overage", overage_price: "0.001" }] },
        },
      },
      pro: { endpoints: { "/short": { quotas: [{ period: "day", limit: 100 }] } } },
    },
    secrets: { ADMIN_TOKEN },
  });
  // Nothing here may happen on two days.
  midnight = await windowEnd(DAY, 90_000);
});

after(async () => {
  await world.stop();
  await stopAll();
});

async function usage(client: Fetch): Promise<Table> {
  return await (await served(await client("/_tollgate/usage"))).json() as Table;
}

function quotasOf(bill: Table): Table[] {
  return (bill["quotas"] as Table[]).filter(({ used }) => used > 0);
}

test("of 20 calls of 10 at once under a quota of 50 exactly 5 pass", async () => {
  const { client } = await issue(gate, "block");
  const asked = Array.from({ length: 20 }, async (_, nth) =>
    await attempt(gate, { request_id: `block-${nth}`, account: "key:block", endpoint: "/block", units: { token: 10 } }));
  const decisions = await Promise.all(asked);
  const denied = decisions.filter(({ allowed }) => !allowed);
  assert.equal(denied.length, 15);
  assert.ok(denied.every(({ reason, unit, limit }) => reason === "quota-exceeded" && unit === "token" && limit === 50));
  for (const { retry_after_ms } of denied) assert.ok(Math.abs(Date.now() + retry_after_ms - midnight) < 30_000, `${retry_after_ms}`);
  assert.deepEqual(quotasOf(await usage(client)), [
    { endpoint: "/block", unit: "token", period: "day", limit: 50, used: 50, remaining: 0 },
  ]);
});

test("over a quota the answer is 429 with the time until midnight, exactly", async () => {
  const client = gate.client();
  for (let left = 2; left >= 0; left -= 1) {
    const answer = await served(await client("/short"));
    assert.equal(whole(answer, "x-ratelimit-remaining"), left);
    assert.equal(whole(answer, "x-ratelimit-reset"), midnight / 1000);
  }
  const before = Date.now();
  const answer = await client("/short");
  const wait = retryAfter(answer);
  assert.ok(wait <= Math.ceil((midnight - before) / 1000) && wait >= Math.ceil((midnight - Date.now()) / 1000), `${wait}`);
  const body = await problem(answer, 429, "quota-exceeded");
  assert.deepEqual([body["limit"], body["remaining"], body["unit"], body["endpoint"]], [3, 0, "request", "/short"]);
  assert.equal((await standing(client, "/short", "request"))["name"], "request-day");
});

test("what was used counts on when the plan changes", async () => {
  const { client } = await issue(gate, "mover");
  for (let calls = 0; calls < 3; calls += 1) await served(await client("/short"));
  await problem(await client("/short"), 429, "quota-exceeded");
  await ordered(gate, "PUT", "/accounts/key%3Amover/plan", { name: "pro" });
  assert.equal(whole(await served(await client("/short")), "x-ratelimit-remaining"), 96);
  await ordered(gate, "PUT", "/accounts/key%3Amover/plan", { name: null });
  await problem(await client("/short"), 429, "quota-exceeded");
});

test("over a quota that is sold, paying makes the call pass, and extends it by as much as it is", async () => {
  const client = gate.client();
  const paying = payingV2(client, await world.chain.wallet());
  for (let calls = 0; calls < 2; calls += 1) await served(await client("/sold"));
  const offer = await client("/sold");
  assert.equal(offer.status, 402);
  assert.ok(offer.headers.has("payment-required") && offer.headers.has("retry-after"));
  assert.equal(whole(await served(await paying(gate.at("/sold"))), "x-ratelimit-remaining"), 1);
  await served(await client("/sold"));
  assert.equal((await client("/sold")).status, 402);
  assert.deepEqual(quotasOf(await usage(client)), [
    { endpoint: "/sold", unit: "request", period: "month", limit: 4, used: 4, remaining: 0 },
  ]);
});

test("1000 calls beyond a quota at a tenth of a cent pass and bill exactly 1000000 atomic units", async () => {
  const { client } = await issue(gate, "over");
  for (let calls = 0; calls < 1005; calls += 67) {
    await Promise.all(Array.from({ length: 67 }, async () => await (await served(await client("/overage"))).text()));
  }
  const bill = await usage(client);
  assert.deepEqual([bill["calls"], bill["overage"]], [1005, { calls: 1000, units: { request: 1000 }, charge: "1" }]);
  assert.deepEqual(quotasOf(bill), [
    { endpoint: "/overage", unit: "request", period: "day", limit: 5, used: 1005, remaining: 0 },
  ]);
  const charge = await eventually("the ledger has all of it", async () => {
    const [row] = await gate.ledger("SELECT SUM(CAST(charge AS INTEGER)) AS charge FROM usage_units WHERE account = 'key:over'");
    return row!["charge"] === 1_000_000 ? row!["charge"] : undefined;
  });
  assert.equal(charge, 1_000_000);
});

test("units that a backend tells at the end count past the quota", async () => {
  const question = { account: "key:told", endpoint: "/block" };
  assert.ok((await attempt(gate, { ...question, request_id: "told-1" }))["allowed"]);
  await end(gate, { request_id: "told-1", units: { token: 210 } });
  const denied = await attempt(gate, { ...question, request_id: "told-2" });
  assert.deepEqual([denied["allowed"], denied["reason"]], [false, "quota-exceeded"]);
});

test("a plan that means no quota is refused with what is wrong", async () => {
  const quota = { period: "week", limit: 1 };
  const body = await problem(await order(gate, "PUT", "/plans/wrong", { body: { endpoints: { "*": { quotas: [quota] } } } }), 400, "bad-request");
  assert.match(body["detail"], /quotas\[0\]\.period: `week` is not a period; write day or month/);
  assert.ok(Date.now() < midnight, "the day was long enough");
});
