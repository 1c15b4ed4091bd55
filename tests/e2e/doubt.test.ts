// Doubts that the chain settles (`payment.rpc`): what became of a settlement whose outcome nobody told is read from the
// token's logs, for the payer and against. And doubts that nobody settles: the owner sees them, and may have them tried again.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { exactly, poor, refusal, tokens, unavailable } from "./rig/answers.ts";
import { authorization, cancel, carryOut } from "./rig/by_hand.ts";
import type { Wallet } from "./rig/chain.ts";
import { headerV2, offerV2, signV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { answer, forwardThenCut, html } from "./rig/faulty_facilitator.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { ordered } from "./rig/owner.ts";
import { PAYEE, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

const ELSEWHERE = "0x000000000000000000000000000000000000dEaD";
/** What a facilitator says of a nonce that was used. */
const USED = answer(200, { success: false, errorReason: "invalid_exact_evm_nonce_already_used", transaction: "", network: "eip155:84532" });

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  // Without the chain nothing would be credited in doubt.
  gate = await world.gate({ payment: { rpc: world.chain.url, unconfirmed_limit: "0.0001", settle_timeout: "2s" } });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

interface Payer {
  client: Fetch;
  wallet: Wallet;
  headers: Record<string, string>;
  nonce: `0x${string}`;
}

async function payer(at = gate): Promise<Payer> {
  const { client, denied } = await poor(at);
  const wallet = await world.chain.wallet();
  const payment = await signV2(wallet, offerV2(denied));
  return { client, wallet, headers: headerV2(payment), nonce: (payment.payload as any).authorization.nonce };
}

async function ledgerRow(at: Gate, { wallet }: Payer): Promise<Table | undefined> {
  const rows = await at.ledger("SELECT * FROM payments WHERE lower(payer) = ?", wallet.address.toLowerCase());
  return rows[0];
}

test("6.3 #27 a settlement whose answer was lost is credited with the transaction that the chain shows", async () => {
  const one = await payer();
  world.facilitator.next("settle", forwardThenCut);
  await unavailable(await one.client("/cpu", { headers: one.headers }));
  await unavailable(await one.client("/cpu"), "payment-pending");
  await credited(one);
  assert.equal(world.facilitator.calls.settle.length, 1, "the chain is asked first");
});

test("\"nonce already used\" that the chain does not know of is no settlement: it is settled once in the end", async () => {
  const one = await payer();
  world.facilitator.next("settle", html(500), USED);
  await unavailable(await one.client("/cpu", { headers: one.headers }));
  await credited(one);
  assert.equal(world.facilitator.calls.settle.length, 3);
});

for (const [what, spend] of [
  ["paid somebody else with the same nonce", async ({ wallet, nonce }: Payer) => await carryOut(world.chain, wallet, authorization(wallet, ELSEWHERE, "1000", { nonce }))],
  ["paid us less with the same nonce", async ({ wallet, nonce }: Payer) => await carryOut(world.chain, wallet, authorization(wallet, PAYEE, "1", { nonce }))],
  ["cancelled the nonce", async ({ wallet, nonce }: Payer) => await cancel(world.chain, wallet, nonce)],
] as const) {
  test(`6.3 #27 a payer who ${what} gets nothing, and may pay again`, async () => {
    const one = await payer();
    world.facilitator.next("settle", async (call) => {
      await spend(one);
      await html(500)(call);
    });
    await unavailable(await one.client("/cpu", { headers: one.headers }));
    await eventually("the offer is there again", async () => (await one.client("/cpu")).status === 402 ? true : undefined);
    await refusal(await one.client("/cpu", { headers: one.headers }));
    await exactly(one.client, 0);
    assert.equal(world.facilitator.calls.settle.length, 1);
  });
}

test("where the chain cannot be asked nothing is credited in doubt; the owner sees it and may have it tried again", async () => {
  const blind = await world.gate({
    payment: { rpc: "http://127.0.0.1:9", settle_timeout: "2s" },
    secrets: { ADMIN_TOKEN },
  });
  const one = await payer(blind);
  world.facilitator.next("settle", forwardThenCut);
  await unavailable(await one.client("/cpu", { headers: one.headers }));
  const { id } = await eventually("the owner sees it", async () => {
    const { items } = await ordered(blind, "GET", "/payments?state=unknown");
    return items.find((item: Table) => item["payer"].toLowerCase() === one.wallet.address.toLowerCase());
  }) as Table;
  await eventually("it was tried again by itself", async () => world.facilitator.calls.settle.length > 1 ? true : undefined);
  await unavailable(await one.client("/cpu"), "payment-pending");
  const tries = world.facilitator.calls.settle.length;
  assert.deepEqual(await ordered(blind, "POST", `/payments/${id}/retry`), { id, state: "unknown" });
  assert.ok(world.facilitator.calls.settle.length > tries, "the owner's word is tried at once");
  assert.ok(await tokens(one.client) < 1);
  await blind.stop();
});

test("the owner's word waits for a try that is under way, and is carried out after it", async () => {
  const blind = await world.gate({
    payment: { rpc: "http://127.0.0.1:9", settle_timeout: "10s" },
    secrets: { ADMIN_TOKEN },
  });
  const one = await payer(blind);
  const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  world.facilitator.next("settle", forwardThenCut, async (call) => {
    begun.resolve();
    await ended.promise;
    await html(500)(call);
  });
  await unavailable(await one.client("/cpu", { headers: one.headers }));
  const { id } = await eventually("the owner sees it", async () => {
    const { items } = await ordered(blind, "GET", "/payments?state=unknown");
    return items.find((item: Table) => item["payer"].toLowerCase() === one.wallet.address.toLowerCase());
  }) as Table;
  await begun.promise;
  const told = ordered(blind, "POST", `/payments/${id}/retry`);
  // A call that is answered while the try is held has come after the order.
  await unavailable(await one.client("/cpu"), "payment-pending");
  assert.equal(world.facilitator.calls.settle.length, 2);
  ended.resolve();
  assert.deepEqual(await told, { id, state: "unknown" });
  assert.ok(world.facilitator.calls.settle.length > 2, "the owner's word is tried after it");
  await blind.stop();
});

test("without a chain what is above the owner's limit is held, and tried again on the owner's word only", async () => {
  const held = await world.gate({ payment: { unconfirmed_limit: "0.0001", settle_timeout: "2s" }, secrets: { ADMIN_TOKEN } });
  const one = await payer(held);
  world.facilitator.next("settle", forwardThenCut);
  await unavailable(await one.client("/cpu", { headers: one.headers }));
  const { id } = await eventually("the owner sees it", async () => {
    return (await ordered(held, "GET", "/payments?state=held"))["items"][0];
  }) as Table;
  await unavailable(await one.client("/cpu"), "payment-pending");
  const tries = world.facilitator.calls.settle.length;
  assert.deepEqual(await ordered(held, "POST", `/payments/${id}/retry`), { id, state: "held" });
  assert.equal(world.facilitator.calls.settle.length, tries + 1);
  // The facilitator remembers after all, and names the transaction.
  world.facilitator.next("settle", answer(200, {
    success: true, transaction: `0x${"ab".repeat(32)}`, network: "eip155:84532", payer: one.wallet.address,
  }));
  assert.deepEqual(await ordered(held, "POST", `/payments/${id}/retry`), { id, state: "credited" });
  await exactly(one.client, 4);
  await held.stop();
});

/** Four tokens appear without the client; the money moved once, and the ledger names the transaction that moved it. */
async function credited(one: Payer): Promise<void> {
  await eventually("the payment is credited", async () => await tokens(one.client) >= 4 ? true : undefined);
  await exactly(one.client, 4);
  assert.equal(await world.chain.balance(one.wallet.address), 999_000n);
  const row = await eventually("the ledger has it", async () => {
    const row = await ledgerRow(gate, one);
    return row?.["state"] === "credited" ? row : undefined;
  });
  assert.equal(row["confirmed"], 1);
  const mined = await world.chain.client.getTransactionReceipt({ hash: row["transaction_hash"] });
  assert.equal(mined.status, "success");
}
