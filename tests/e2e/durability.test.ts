// What was paid for survives whatever happens to the worker: a restart, an eviction, and a crash at the worst moment.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { exactly, exhaust, poor, served, tokens, unavailable } from "./rig/answers.ts";
import type { Wallet } from "./rig/chain.ts";
import { headerV2, offerV2, payingV2, signV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually, sleep } from "./rig/eventually.ts";
import { forwardThen, html } from "./rig/faulty_facilitator.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Faults, Gate } from "./rig/gate.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;
let persist: string;

before(async () => {
  world = await startWorld();
});

beforeEach(async () => {
  persist = await mkdtemp(join(tmpdir(), "tollgate-"));
  // A payment that a dead request was settling is taken up again when that request would have given up.
  gate = await world.gate({ persist, payment: { settle_timeout: "2s" } });
  await world.facilitator.heal();
});

afterEach(async () => {
  await gate.stop();
  await rm(persist, { recursive: true, force: true });
});

after(async () => await world.stop());

/** A client with nothing left, and a signed payment for what it was offered. */
async function payer(): Promise<{ client: Fetch; wallet: Wallet; headers: Record<string, string> }> {
  const { client } = await poor(gate);
  // The free part of a bucket is written at most once a second: then a crash does not give any of it back.
  await sleep(1100);
  const denied = await client("/cpu");
  const wallet = await world.chain.wallet();
  return { client, wallet, headers: headerV2(await signV2(wallet, offerV2(denied))) };
}

test("tokens that were paid for survive a restart", async () => {
  const { client } = await poor(gate);
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  await gate.stop();
  await gate.restart();
  await exactly(client, 3);
});

test("tokens that were paid for survive a crash right after the answer", async () => {
  const { client } = await poor(gate);
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  await gate.kill();
  await gate.restart();
  await exactly(client, 3);
});

test("a payment that was spent is still spent after a restart", async () => {
  const { client, headers } = await payer();
  await served(await client("/cpu", { headers }));
  await exactly(client, 3);
  await gate.kill();
  await gate.restart();
  assert.equal((await client("/cpu", { headers })).status, 409);
});

test("6.3 #15 killed between settlement and credit, the worker credits once afterwards, without the client", async () => {
  const { client, wallet, headers } = await payer();
  await killedAfter("settle", client, headers);
  assert.equal(await world.chain.balance(wallet.address), 999_000n, "it was settled");
  await gate.restart();
  await eventually("the payment is credited", async () => await tokens(client) >= 4 ? true : undefined);
  await exactly(client, 4);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
});

/** Sends the same payment until it is credited, and asserts that it was settled and credited once. */
async function creditedOnce(client: Fetch, wallet: Wallet, headers: Record<string, string>): Promise<void> {
  await eventually("the payment is credited", async () => {
    const { status } = await client("/cpu", { headers });
    assert.ok([200, 503].includes(status), `status ${status}`);
    return status === 200 ? true : undefined;
  });
  await exactly(client, 3);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
}

test("6.3 #15 killed between settlement and credit, the same payment sent again is credited once", async () => {
  const { client, wallet, headers } = await payer();
  await killedAfter("settle", client, headers);
  await gate.restart();
  await creditedOnce(client, wallet, headers);
});

test("6.3 #15 killed between verification and settlement, the same payment sent again is settled and credited once", async () => {
  const { client, wallet, headers } = await payer();
  await killedAfter("verify", client, headers);
  assert.equal(await world.chain.balance(wallet.address), 1_000_000n, "it was not settled");
  await gate.restart();
  await creditedOnce(client, wallet, headers);
});

test("6.3 #15 killed between crediting the account and hearing of it, the worker credits once, whether or not it was done", async () => {
  await gate.stop();
  gate = await world.gate({ persist, platform: "faulty_platform.js" });
  const faults = { lost: freshAddress(), unanswered: freshAddress() };
  const asking = Object.values(faults).map(async (ip) => {
    const client = gate.client(ip);
    await exhaust(client);
    // The free part of a bucket is written at most once a second: then a crash does not give any of it back.
    await sleep(1100);
    const wallet = await world.chain.wallet();
    const headers = headerV2(await signV2(wallet, offerV2(await client("/cpu"))));
    return { wallet, answer: client("/cpu", { headers }).catch(() => undefined) };
  });
  await gate.faults({ credits: Object.fromEntries(Object.entries(faults).map(([fault, ip]) => [`ip:${ip}`, fault])) as Faults["credits"] & object });
  const asked = await Promise.all(asking);
  await eventually("both are settled and neither is heard of", async () => (await gate.seen()).credits === 2 ? true : undefined);
  await gate.kill();
  await gate.restart();
  await eventually("the lost one is credited", async () => await tokens(gate.client(faults.lost)) >= 4 ? true : undefined);
  for (const { wallet, answer } of asked) {
    await answer;
    await eventually("the other is known", async () => (await gate.ledger("SELECT * FROM payments WHERE payer = ? AND state = 'credited'", wallet.address.toLowerCase()))[0]);
    assert.equal(await world.chain.balance(wallet.address), 999_000n);
  }
  await exactly(gate.client(faults.lost), 4);
  await exactly(gate.client(faults.unanswered), 3);
});

test("6.3 #15 a sold call whose payment's object died while it settled is in doubt before the gate that tells it again hears of it", async () => {
  await gate.stop();
  gate = await world.gate({ persist, plans: { free: { endpoints: { "*": { payment: "always", price: "0.001" } } } }, payment: { settle_timeout: "20s" } });
  const client = gate.client("198.51.100.7");
  const denied = await client("/cpu");
  const wallet = await world.chain.wallet();
  const payment = await signV2(wallet, offerV2(denied));
  const settling = new Promise<void>((resolve) => world.facilitator.next("settle", () => resolve()));
  const lost = assert.rejects(async () => {
    const response = await client("/cpu", { headers: headerV2(payment) });
    if (response.status >= 500) throw new Error(`${response.status}`);
  });
  await settling;
  await gate.kill();
  await lost;
  world.facilitator.always("settle", html(500));
  await gate.restart();
  const { nonce } = (payment.payload as any).authorization;
  const { asset, network } = payment.accepted;
  const identity = `exact:${network}:${asset}:${wallet.address}:${nonce}`.toLowerCase();
  const id = `pay_${createHash("sha256").update(identity).digest("hex").slice(0, 32)}`;
  assert.equal(await gate.askPayment(id, { answered: { status: 200, kept: null } }), "pending");
  await unavailable(await gate.client("198.51.100.7")("/cpu"), "payment-pending");
});

test("a bucket that was used up is not full again after a restart while something paid depends on it", async () => {
  const { client } = await poor(gate);
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  await exactly(client, 3);
  await gate.stop();
  await gate.restart();
  await exactly(client, 0);
});

test("the usage of a client is still there after a restart", async () => {
  const client = gate.client();
  await served(await client("/cpu"));
  await eventually("the usage is in the ledger", async () => (await gate.ledger("SELECT * FROM usage")).length > 0 ? true : undefined);
  await gate.kill();
  await gate.restart();
  assert.equal((await (await client("/_tollgate/usage")).json() as any).calls, 1);
});

/** Sends a payment, and kills the worker when the facilitator has done its part and before the worker has heard of it. */
async function killedAfter(verb: "verify" | "settle", client: Fetch, headers: Record<string, string>): Promise<void> {
  const killed = new Promise<void>((resolve) => {
    world.facilitator.next(verb, forwardThen(async () => {
      await gate.kill();
      resolve();
    }));
  });
  await assert.rejects(async () => {
    // A connection that breaks is an error of `fetch`, or of reading what it gave.
    const response = await client("/cpu", { headers });
    if (response.status >= 500) throw new Error(`${response.status}`);
  });
  await killed;
}
