// The bill: what the gate says a client used is what was let through, and what the ledger holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { exactly, poor, served } from "./rig/answers.ts";
import { payingV2, settlement } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Table } from "./rig/gate.ts";
import { scratch } from "./rig/limits.ts";
import { PAYEE, bucketPlan, startShared } from "./rig/world.ts";

const { world, gate } = await startShared({ persist: await scratch() });

async function usage(client: Fetch): Promise<Table> {
  return await (await served(await client("/_tollgate/usage"))).json() as Table;
}

async function ledgerCalls(account: string): Promise<number> {
  const [row] = await gate.ledger("SELECT COALESCE(SUM(calls), 0) AS calls FROM usage WHERE account = ?", account);
  return row!["calls"];
}

async function flushed(account: string, calls: number): Promise<void> {
  await eventually(`the ledger has ${calls} calls of ${account}`, async () => await ledgerCalls(account) === calls ? true : undefined);
}

test("a client that has never called has used nothing", async () => {
  const ip = freshAddress();
  const { account, calls, paid } = await usage(gate.client(ip));
  assert.equal(account, `ip:${ip}`);
  assert.equal(calls, 0);
  assert.equal(paid.count, 0);
});

test("the bill is right to the call before a flush, and does not count what was denied", async () => {
  const client = gate.client();
  for (let calls = 1; calls <= 4; calls += 1) {
    await served(await client("/cpu"));
    assert.equal((await usage(client))["calls"], calls);
  }
  await exactly(client, 0);
  const bill = await usage(client);
  assert.equal(bill["calls"], 4);
  assert.equal(bill["units"].request, 4);
  assert.equal(bill["plan"], "free");
});

test("the bill has all that the contract names, and the ledger what was denied", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await exactly(client, 4);
  assert.equal((await client("/cpu")).status, 402);
  const { period, ...bill } = await usage(client);
  assert.match(`${period.from} ${period.to}`, /^\d{4}-\d\d-01T00:00:00Z \d{4}-\d\d-\d\dT\d\d:00:00Z$/);
  assert.deepEqual(bill, {
    account: `ip:${ip}`,
    plan: "free",
    calls: 4,
    units: { request: 4 },
    quotas: [],
    overage: { calls: 0, units: {}, charge: "0" },
    paid: { count: 0, amount: "0" },
    credits: { balance: "0", spent: "0" },
    owed: "0",
    currency: "USDC",
  });
  const row = await eventually("the ledger has both", async () => {
    const [found] = await gate.ledger("SELECT calls, blocked, last_request FROM usage WHERE account = ?", `ip:${ip}`);
    return found?.["blocked"] === 2 ? found : undefined;
  });
  assert.equal(row["calls"], 4);
  assert.ok(Math.abs(row["last_request"] - Date.now()) < 60_000);
});

test("payments are on the bill, as exact decimals", async () => {
  const { client } = await poor(gate);
  const fetch = payingV2(client, await world.chain.wallet());
  for (let round = 0; round < 3; round += 1) {
    await served(await fetch(gate.at("/cpu")));
    await exactly(client, 3);
  }
  const { calls, paid } = await usage(client);
  assert.equal(calls, 4 + 3 * 4);
  assert.deepEqual(paid, { count: 3, amount: "0.003" });
});

test("the ledger holds the same after a flush, as totals: later flushes and a crash count nothing twice", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await served(await client("/cpu"));
  await served(await client("/cpu"));
  await flushed(`ip:${ip}`, 2);
  await served(await client("/cpu"));
  await flushed(`ip:${ip}`, 3);
  await gate.kill();
  await gate.restart();
  await served(await client("/cpu"));
  await flushed(`ip:${ip}`, 4);
  assert.equal((await usage(client))["calls"], 4);
});

test("the ledger holds the payments and what they came to, in atomic units", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await exactly(client, 4);
  const wallet = await world.chain.wallet();
  const paid = await served(await payingV2(client, wallet)(gate.at("/cpu")));
  const { transaction } = settlement(paid);
  const totals = await eventually("the payment is in the usage", async () => {
    const [row] = await gate.ledger("SELECT SUM(payments) AS payments, SUM(CAST(paid AS INTEGER)) AS paid FROM usage WHERE account = ?", `ip:${ip}`);
    return row!["payments"] > 0 ? row : undefined;
  });
  assert.deepEqual({ ...totals }, { payments: 1, paid: 1000 });
  const [payment, ...others] = await eventually("the payment is in the ledger", async () => {
    const rows = await gate.ledger("SELECT * FROM payments WHERE account = ?", `ip:${ip}`);
    return rows[0]?.["state"] === "credited" ? rows : undefined;
  });
  assert.deepEqual(others, []);
  assert.equal(payment!["transaction_hash"], transaction);
  assert.equal(payment!["amount"], "1000");
  assert.equal(payment!["network"], "eip155:84532");
  assert.equal(payment!["payer"].toLowerCase(), wallet.address.toLowerCase());
  assert.equal(payment!["recipient"].toLowerCase(), PAYEE.toLowerCase());
});

test("endpoints are told apart in the ledger", async () => {
  const ip = freshAddress();
  const { endpoints } = bucketPlan()["free"];
  const two = await world.gate({ plans: { free: { name: "Free", endpoints: { ...endpoints, "GET /cpu": endpoints["*"] } } } });
  const client = two.client(ip);
  await served(await client("/cpu"));
  await served(await client("/echo"));
  await served(await client("/echo"));
  const rows = await eventually("both endpoints are in the ledger", async () => {
    const found = await two.ledger("SELECT endpoint, SUM(calls) AS calls FROM usage WHERE account = ? GROUP BY endpoint ORDER BY calls", `ip:${ip}`);
    return found.length === 2 && found[1]!["calls"] === 2 ? found : undefined;
  });
  assert.deepEqual(rows.map(({ endpoint, calls }) => [endpoint, calls]), [["GET /cpu", 1], ["*", 2]]);
  await two.stop();
});
