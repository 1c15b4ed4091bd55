// Where two rules meet: which of several plans holds, which of several proofs says who calls, and what becomes of a payment
// whose request cannot pass for another reason.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { exactly, exhaust, poor, problem, remaining, served } from "./rig/answers.ts";
import { headerV2, offerV2, signIn, signInHeader, signV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { issue, ordered } from "./rig/owner.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

const holds = (capacity: number, more: Table = {}) => ({ endpoints: { "*": { bucket: { capacity, refill_rate: 0.001 }, ...more } } });
const sold = { over_limit: "pay", price: "0.001" };

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate({
    plans: { free: holds(4, sold), wallets: holds(7, sold), keys: holds(9, sold), gold: holds(50) },
    settings: { default_plans: { wallet: "wallets", key: "keys" }, max_body: "20KiB" },
    secrets: { ADMIN_TOKEN },
  });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

async function standing(client: Fetch, headers: Record<string, string> = {}): Promise<[string, string, number]> {
  const { client: id, plan, capacity } = await (await served(await client("/_tollgate/limits?endpoint=/cpu", { headers }))).json() as Table;
  return [id, plan, capacity];
}

/** The plan and its capacity. */
async function plan(client: Fetch): Promise<[string, number]> {
  const [, name, capacity] = await standing(client);
  return [name, capacity];
}

test("an account's own plan comes first, then its kind's, then the owner's default, then the setting; and the ledger's plan of a name", async () => {
  const { client: keyed } = await issue(gate, "planned");
  assert.deepEqual([await plan(gate.client()), await plan(keyed)], [["free", 4], ["keys", 9]]);
  await ordered(gate, "PUT", "/default-plan", { name: "gold" });
  assert.deepEqual([await plan(gate.client()), await plan(keyed)], [["gold", 50], ["keys", 9]]);
  await ordered(gate, "PUT", "/accounts/key%3Aplanned/plan", { name: "free" });
  assert.deepEqual(await plan(keyed), ["free", 4]);
  await ordered(gate, "PUT", "/plans/free", holds(5, sold));
  assert.deepEqual(await plan(keyed), ["free", 5]);
  await ordered(gate, "PUT", "/default-plan", { name: "free" });
  assert.deepEqual(await plan(gate.client()), ["free", 5]);
  await ordered(gate, "PUT", "/accounts/key%3Aplanned/plan", { name: null });
  await ordered(gate, "PUT", "/plans/free", holds(4, sold));
  assert.deepEqual([await plan(gate.client()), await plan(keyed)], [["free", 4], ["keys", 9]]);
});

test("a key comes before a session, the field of a session before its cookie, and a bad one of either identifies nobody", async () => {
  const { denied, client } = await poor(gate);
  const wallet = await world.chain.wallet();
  const signedIn = await served(await client("/cpu", { headers: signInHeader(await signIn(wallet, offerV2(denied))) }));
  const token = signedIn.headers.get("tollgate-session")!;
  const own = `wallet:${wallet.address.toLowerCase()}`;
  const elsewhere = gate.client("192.0.2.9");
  assert.deepEqual(await standing(elsewhere, { "Tollgate-Session": token }), [own, "wallets", 7]);
  assert.deepEqual(await standing(elsewhere, { Cookie: `a=1; tollgate_session=${token}` }), [own, "wallets", 7]);
  assert.deepEqual(await standing(elsewhere, { "Tollgate-Session": token, Cookie: "tollgate_session=bad" }), [own, "wallets", 7]);
  assert.deepEqual(await standing(elsewhere, { "Tollgate-Session": `${token}x`, Cookie: `tollgate_session=${token}` }), ["ip:192.0.2.9", "free", 4]);
  const { client: keyed } = await issue(gate, "both");
  assert.deepEqual(await standing(keyed, { "Tollgate-Session": token }), ["key:both", "keys", 9]);
});

test("a payment by a key credits the key's account from any address; its session ends with the key, and what was paid stays", async () => {
  const { id, client, key } = await issue(gate, "payer");
  const { client: second } = await issue(gate, "payer");
  await exhaust(client, "/cpu", 9);
  const denied = await client("/cpu");
  const paid = await served(await client("/cpu", { headers: headerV2(await signV2(await world.chain.wallet(), offerV2(denied))) }));
  const token = { "Tollgate-Session": paid.headers.get("tollgate-session")! };
  const elsewhere = gate.client("192.0.2.10");
  assert.deepEqual((await standing(elsewhere, token))[0], "key:payer");
  assert.equal(remaining(await served(await elsewhere("/cpu", { headers: token }))), 7);
  await ordered(gate, "DELETE", `/keys/${id}`, undefined, 204);
  await problem(await client("/cpu"), 401, "unknown-key");
  assert.deepEqual(await standing(elsewhere, token), ["ip:192.0.2.10", "free", 4]);
  await exhaust(async (path, init) => await elsewhere(path, { ...init, headers: token }));
  const { sign_in_error } = await problem(await elsewhere("/cpu", { headers: token }), 402, "payment-required");
  assert.equal(sign_in_error.reason, "revoked_session");
  assert.equal(JSON.stringify(token).includes(key), false);
  assert.equal(remaining(await served(await second("/cpu"))), 6, "the other key spends it");
});

test("a payment whose request is too large is not taken, by its length or while it comes, and is good with a smaller one", async () => {
  const { client, denied } = await poor(gate, "/echo");
  const headers = headerV2(await signV2(await world.chain.wallet(), offerV2(denied)));
  await problem(await client("/echo", { method: "POST", body: "x".repeat(30_000), headers }), 413, "body-too-large");
  const chunks = new Blob(["x".repeat(15_000), "y".repeat(15_000)]).stream();
  await problem(await client("/echo", { method: "POST", body: chunks, headers, duplex: "half" } as RequestInit), 413, "body-too-large");
  assert.equal(world.facilitator.calls.verify.length + world.facilitator.calls.settle.length, 0);
  const { body } = await (await served(await client("/echo", { method: "POST", body: "small", headers }))).json() as Table;
  assert.equal(body, "small");
  // Sent again with tokens left it is an ordinary request, and its answer is not one that was paid for just now.
  const again = await served(await client("/echo", { method: "POST", body: "small", headers }));
  assert.equal(remaining(again), 2);
  for (const name of ["payment-response", "x-402-receipt"]) assert.equal(again.headers.has(name), false, name);
  await exactly(client, 2, "/echo");
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("where each call is sold, a HEAD is sold as well: it is kept with its payment, and that answers no GET", async () => {
  const selling = await world.gate({ plans: { free: { endpoints: { "*": { payment: "always", price: "0.01" } } } } });
  const client = selling.client();
  const denied = await client("/cpu", { method: "HEAD" });
  assert.deepEqual([denied.status, await denied.text()], [402, ""]);
  const wallet = await world.chain.wallet();
  const headers = headerV2(await signV2(wallet, offerV2(denied)));
  const seen = world.origin.seen.length;
  for (let count = 0; count < 2; count += 1) {
    const sent = await served(await client("/cpu", { method: "HEAD", headers }));
    assert.ok(sent.headers.has("x-402-receipt"));
    assert.equal(await sent.text(), "");
  }
  await problem(await client("/cpu", { headers }), 409, "payment-used");
  assert.deepEqual(world.origin.seen.slice(seen).map(({ method }) => method), ["HEAD"]);
  assert.equal(await world.chain.balance(wallet.address), 990_000n);
  await selling.stop();
});
