// Credit before settlement (`trust_after`, `trust_window`): a trusted wallet is answered at once and settled afterwards; a
// settlement that fails takes the credit back, ends the trust, and is seen by the owner; a death in between changes nothing.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { exactly, exhaust, problem, served, tokens } from "./rig/answers.ts";
import { cancel } from "./rig/by_hand.ts";
import type { Wallet } from "./rig/chain.ts";
import { headerV2, offerV2, payingV2, signV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { answer, forwardThenCut, honest } from "./rig/faulty_facilitator.ts";
import type { Fault } from "./rig/faulty_facilitator.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { ordered } from "./rig/owner.ts";
import { WEBHOOK_SECRET, startOwnerServer } from "./rig/owner_server.ts";
import type { OwnerServer } from "./rig/owner_server.ts";
import { receiptIsSignedBy } from "./rig/receipts.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

/** What a facilitator says that is certain that no money moved. */
const REFUSED = answer(200, {
  success: false, errorReason: "invalid_exact_evm_payload_signature", transaction: "", network: "eip155:84532",
});

let world: World;
let gate: Gate;
let owner: OwnerServer;
let persist: string;

before(async () => {
  world = await startWorld();
  owner = await startOwnerServer();
  persist = await mkdtemp(join(tmpdir(), "tollgate-"));
  gate = await world.gate({
    persist,
    payment: { trust_after: 2, trust_window: "1h", settle_timeout: "20s" },
    settings: { webhook: { url: owner.url, events: ["paid", "payment-unknown", "payment-failed"] } },
    secrets: { ADMIN_TOKEN, WEBHOOK_SECRET },
  });
});

after(async () => {
  await world.stop();
  await rm(persist, { recursive: true, force: true });
});

beforeEach(async () => await world.facilitator.heal());

interface Payer {
  client: Fetch;
  account: string;
  wallet: Wallet;
}

async function newcomer(): Promise<Payer> {
  const ip = freshAddress();
  const client = gate.client(ip);
  await exhaust(client);
  return { client, account: `ip:${ip}`, wallet: await world.chain.wallet() };
}

/** Pays by hand for what a 402 offers. */
async function pay({ client, wallet }: Payer): Promise<Response> {
  const denied = await client("/cpu");
  assert.equal(denied.status, 402);
  return await client("/cpu", { headers: headerV2(await signV2(wallet, offerV2(denied))) });
}

/** A wallet that has settled two payments, and whose client has nothing left. */
async function trusted(): Promise<Payer> {
  const payer = await newcomer();
  for (let paid = 1; paid <= 2; paid += 1) {
    const response = await served(await pay(payer));
    assert.ok(response.headers.has("payment-response"), "a stranger is settled first");
    await exactly(payer.client, 3);
  }
  // What it settled is told to the trust after the answer; it is there when the ledger has it.
  await eventually("both payments are known", async () => {
    const { items } = await ordered(gate, "GET", `/payments?state=credited&account=${payer.account}`);
    return items.length === 2 ? true : undefined;
  });
  return payer;
}

/** Makes the facilitator's settlement wait until it is told what to do. */
function heldSettlement(): { asked: Promise<void>; then(fault: Fault): void } {
  let tell: (fault: Fault) => void;
  const told = new Promise<Fault>((resolve) => { tell = resolve; });
  const asked = new Promise<void>((resolve) => {
    world.facilitator.next("settle", async (call) => {
      resolve();
      await (await told)(call);
    });
  });
  return { asked, then: (fault) => tell(fault) };
}

async function payments(account: string, state: string): Promise<Table[]> {
  return (await ordered(gate, "GET", `/payments?state=${state}&account=${account}`))["items"];
}

async function told(account: string, type: string): Promise<Table> {
  return await eventually(`the owner is told of ${type}`, async () => owner.of(account).find((notice) => notice["type"] === type));
}

test("a wallet with two settled payments is served before its third is settled, by a stock client, and settled afterwards", async () => {
  const payer = await trusted();
  const settling = heldSettlement();
  const paid = await served(await payingV2(payer.client, payer.wallet)(gate.at("/cpu")));
  assert.equal(paid.headers.get("payment-response"), null, "no transaction is told of that is not there");
  assert.equal(paid.headers.get("x-402-receipt"), null);
  assert.ok(paid.headers.has("tollgate-session"));
  assert.match(paid.headers.get("cache-control") ?? "", /private/);
  const receiptId = paid.headers.get("x-402-receipt-id")!;
  assert.match(receiptId, /^rcpt_[0-9a-f]+$/);
  await settling.asked;
  assert.equal(await world.chain.balance(payer.wallet.address), 998_000n, "the third is not settled yet");
  assert.equal(await tokens(payer.client) >= 3, true, "it has what it will have paid for");
  assert.equal((await payer.client(`/_tollgate/receipts/${receiptId}`)).status, 404, "there is no receipt yet");
  const { advanced } = await ordered(gate, "GET", `/accounts/${encodeURIComponent(payer.account)}`);
  assert.equal(advanced.length, 1, "the owner sees what is not settled");
  const open = await eventually("it is among the payments", async () => (await payments(payer.account, "settling"))[0]);
  assert.deepEqual([open["id"], open["transaction"], open["confirmed"], open["amount"]], [advanced[0], "", false, "0.001"]);

  settling.then(honest);
  const found = await eventually("the receipt is there", async () => {
    const response = await payer.client(`/_tollgate/receipts/${receiptId}`);
    return response.status === 200 ? await response.json() as Table : undefined;
  });
  assert.equal(await world.chain.balance(payer.wallet.address), 997_000n);
  const { transaction } = found["receipt"].payment;
  assert.equal((await world.chain.client.getTransactionReceipt({ hash: transaction })).status, "success");
  const body = Buffer.from(await paid.arrayBuffer());
  const digest = Buffer.from(await crypto.subtle.digest("SHA-256", body)).toString("hex");
  assert.equal(found["receipt"].service.response_hash, `sha256:${digest}`);
  const { public_key } = await (await payer.client("/_tollgate/receipt-key")).json() as Table;
  assert.ok(await receiptIsSignedBy(public_key, found as never));
  await exactly(payer.client, 3);
  assert.equal((await ordered(gate, "GET", `/accounts/${encodeURIComponent(payer.account)}`))["advanced"].length, 0);
  await eventually("the ledger has its end", async () => (await ordered(gate, "GET", `/payments/${open["id"]}`))["state"] === "credited" ? true : undefined);
});

test("a settlement that fails takes the credit back below nothing, ends the trust, and the owner sees it", async () => {
  const payer = await trusted();
  const settling = heldSettlement();
  await served(await pay(payer));
  await exactly(payer.client, 3);
  settling.then(REFUSED);
  const [failed] = await eventually("the owner sees it", async () => {
    const items = await payments(payer.account, "taken-back");
    return items.length > 0 ? items : undefined;
  }) as [Table];
  assert.deepEqual([failed["transaction"], failed["confirmed"]], ["", false]);
  const notice = await told(payer.account, "payment-failed");
  assert.equal(notice["data"].payment, failed["id"]);
  assert.equal(await world.chain.balance(payer.wallet.address), 998_000n, "nothing was taken");
  const owing = await tokens(payer.client);
  assert.ok(owing <= -3.9 && owing >= -4, `${owing}: four were given and used`);
  const { advanced, endpoints } = await ordered(gate, "GET", `/accounts/${encodeURIComponent(payer.account)}`);
  assert.deepEqual([advanced, endpoints[0].tokens < -3.9], [[], true], "the owner sees the hole");

  // The hole is filled first; it is settled before anything is given, as a stranger's payment is.
  const denied = await pay(payer);
  assert.ok(denied.headers.has("payment-response"), "it is settled at once: the trust is over");
  await problem(denied, 429, "rate-limited");
  assert.equal(await world.chain.balance(payer.wallet.address), 997_000n);
  const repaid = await tokens(payer.client);
  assert.ok(repaid >= 0 && repaid < 0.5, `${repaid}`);
  const next = await served(await pay(payer));
  assert.ok(next.headers.has("payment-response"));
  await exactly(payer.client, 3);
});

test("who cancels the authorization after it was verified loses the credit and the trust: a real facilitator cannot settle it", async () => {
  const payer = await trusted();
  const payment = await signV2(payer.wallet, offerV2(await payer.client("/cpu")));
  const settling = heldSettlement();
  await served(await payer.client("/cpu", { headers: headerV2(payment) }));
  await settling.asked;
  await cancel(world.chain, payer.wallet, (payment.payload as any).authorization.nonce);
  settling.then(honest);
  await eventually("it is taken back", async () => (await payments(payer.account, "taken-back")).length > 0 ? true : undefined);
  assert.equal(await world.chain.balance(payer.wallet.address), 998_000n);
  const owing = await tokens(payer.client);
  assert.ok(owing <= -0.9 && owing >= -1, `${owing}: one was used`);
  assert.ok((await served(await pay(payer))).headers.has("payment-response"), "a stranger is settled first");
});

test("the same payment buys nothing while it is being settled, and nothing after it failed", async () => {
  const payer = await trusted();
  const denied = await payer.client("/cpu");
  const headers = headerV2(await signV2(payer.wallet, offerV2(denied)));
  const settling = heldSettlement();
  await served(await payer.client("/cpu", { headers }));
  await exactly(payer.client, 3);
  await problem(await payer.client("/cpu", { headers }), 503, "payment-pending");
  settling.then(REFUSED);
  await eventually("it is taken back", async () => (await payments(payer.account, "taken-back")).length > 0 ? true : undefined);
  const again = await payer.client("/cpu", { headers });
  assert.equal(again.status, 402);
  assert.equal((await again.json() as Table)["reason"], "invalid_exact_evm_payload_signature");
});

test("of many payments at once no more is given than the wallet has settled", async () => {
  const payer = await trusted();
  const offer = offerV2(await payer.client("/cpu"));
  const others = Array.from({ length: 6 }, () => gate.client());
  await Promise.all(others.map(async (client) => await exhaust(client)));
  let release = () => {};
  const held = new Promise<void>((resolve) => { release = resolve; });
  world.facilitator.always("settle", async (call) => {
    await held;
    await honest(call);
  });
  const answers = others.map(async (client) => await served(await client("/cpu", { headers: headerV2(await signV2(payer.wallet, offer)) })));
  await eventually("all are to be settled", async () => world.facilitator.calls.settle.length === 8 ? true : undefined);
  release();
  const paid = await Promise.all(answers);
  assert.equal(paid.filter(({ headers }) => !headers.has("payment-response")).length, 2, "two were settled before");
  await eventually("all are settled", async () => await world.chain.balance(payer.wallet.address) === 992_000n ? true : undefined);
  assert.equal(world.facilitator.calls.settle.length, 8, "two before, and each of the six once");
});

test("while an outcome is unknown the credit stays and nothing more is given; the chain of events ends with one payment", async () => {
  const payer = await trusted();
  world.facilitator.next("settle", forwardThenCut);
  const retry = heldSettlement();
  await served(await pay(payer));
  await exactly(payer.client, 3);
  await retry.asked;
  assert.equal((await payments(payer.account, "unknown")).length, 1);
  const next = await pay(payer);
  assert.ok(next.headers.has("payment-response"), "it is settled first while the other is in doubt");
  retry.then(honest);
  await eventually("the doubt is over", async () => (await payments(payer.account, "credited")).length === 4 ? true : undefined);
  assert.equal(await world.chain.balance(payer.wallet.address), 996_000n, "each was taken once");
  await exactly(payer.client, 3);
});

test("killed between credit and settlement, the worker settles afterwards and credits nothing more", async () => {
  const payer = await trusted();
  const settling = heldSettlement();
  await served(await pay(payer));
  await settling.asked;
  await gate.kill();
  settling.then(() => {});
  await gate.restart();
  payer.client = gate.client(payer.account.slice(3));
  await eventually("it is settled", async () => await world.chain.balance(payer.wallet.address) === 997_000n ? true : undefined);
  await eventually("it is credited", async () => (await payments(payer.account, "credited")).length === 3 ? true : undefined);
  await exactly(payer.client, 3);
});

test("killed while the credit is being taken back, it is taken back once", async () => {
  const payer = await trusted();
  const settling = heldSettlement();
  await served(await pay(payer));
  const killed = new Promise<void>((resolve, reject) => {
    settling.then(async (call) => {
      await REFUSED(call);
      setImmediate(() => void gate.kill().then(resolve, reject));
    });
  });
  await killed;
  world.facilitator.always("settle", REFUSED);
  await gate.restart();
  payer.client = gate.client(payer.account.slice(3));
  await eventually("it is taken back", async () => (await payments(payer.account, "taken-back")).length > 0 ? true : undefined);
  const left = await tokens(payer.client);
  assert.ok(left <= -0.9 && left >= -1, `${left}: one was used`);
});
