// The channels of MPP sessions and their chain: what is sent to the node and what is not, top-ups, and what survives a crash
// between spending and crediting.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { poor, problem, served } from "./rig/answers.ts";
import type { Wallet } from "./rig/chain.ts";
import { eventually, sleep } from "./rig/eventually.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { altered, asked, authorization, openSession, receipt, sessionManager, sessionMethod, voucher } from "./rig/mpp.ts";
import { ESCROW, PATH_USD, TEMPO_CHAIN_ID, startTempo } from "./rig/tempo.ts";
import type { Tempo } from "./rig/tempo.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let tempo: Tempo;
let gate: Gate;
let persist: string;

const STRANGER = "0x000000000000000000000000000000000000dEaD";

before(async () => {
  [world, tempo] = await Promise.all([startWorld(), startTempo()]);
  persist = await mkdtemp(join(tmpdir(), "tollgate-"));
  const agents = { endpoints: { "*": { bucket: { capacity: 1, refill_rate: 0.001 }, over_limit: "pay", price: "0.001", refill: 4 } } };
  gate = await world.gate({
    persist,
    secrets: { SESSION_PAYEE_KEY: tempo.payee.key },
    plans: { ...bucketPlan(), agents },
    settings: { default_plans: { session: "agents" } },
    payment: { pay_to: tempo.payee.address, session: { escrow: ESCROW, chain_id: TEMPO_CHAIN_ID, currency: PATH_USD, rpc: tempo.url } },
  });
});

after(async () => {
  await world.stop();
  await rm(persist, { recursive: true, force: true });
});

/** What the stock client sends to open a channel, with something else in the challenge than the gate asked for. */
async function openingOther(denied: Response, change: (request: Table) => void, payer: Wallet = tempo.payer()): Promise<string> {
  const challenge = asked(denied);
  const other = structuredClone(challenge);
  change(other.request);
  const sent = await sessionMethod(tempo, payer).createCredential({ challenge: other });
  return altered(sent, (credential) => credential.challenge = challenge);
}

test("a transaction for somebody else is not sent to the node", async () => {
  const { client, denied } = await poor(gate);
  const sent = await openingOther(denied, (request) => request["recipient"] = STRANGER);
  const before = tempo.sent();
  const { reason } = await problem(await client("/cpu", authorization(sent)), 402, "verification-failed");
  assert.equal(reason, "other_transaction");
  assert.equal(tempo.sent(), before, "the node was asked to send nothing");
});

test("openings that fail count as failed payments, and then none is looked at for a while", async () => {
  const { client, denied } = await poor(gate);
  const sent = await openingOther(denied, (request) => request["recipient"] = STRANGER);
  for (let forgiven = 0; forgiven < 19; forgiven += 1) {
    await problem(await client("/cpu", authorization(sent)), 402, "verification-failed");
  }
  // The twentieth is the last that is looked at.
  await client("/cpu", authorization(sent));
  const good = await sessionMethod(tempo, tempo.payer()).createCredential({ challenge: asked(denied) });
  await problem(await client("/cpu", authorization(good)), 429, "too-many-failures");
  await served(await gate.client()("/cpu", authorization(good)));
});

test("the stock client tops its channel up, and spends beyond the first deposit", async () => {
  const payer = tempo.payer();
  const { client, method, channel, denied } = await openSession(gate, tempo, payer);
  const beyond = 250_250n;
  await problem(await client("/cpu", authorization(await voucher(method, denied, channel, beyond))), 402, "session/amount-exceeds-deposit");
  const topUp = async (id: string) => await method.createCredential({
    challenge: asked(denied),
    context: { action: "topUp", channelId: channel, additionalDepositRaw: "1000", transaction: await tempo.topUp(payer, id, 1000n) },
  });
  const before = tempo.sent();
  const refused = await client("/cpu", { method: "POST", ...authorization(await topUp(`0x${"ab".repeat(32)}`)) });
  await problem(refused, 402, "verification-failed");
  assert.equal(tempo.sent(), before, "a top-up of another channel is not sent");
  assert.equal((await client("/cpu", { method: "POST", ...authorization(await topUp(channel)) })).status, 204);
  const paid = await served(await client("/cpu", authorization(await voucher(method, denied, channel, beyond))));
  assert.equal(receipt(paid)["acceptedCumulative"], String(beyond));
});

test("a channel that the stock client closes is closed on the chain: the payee has what was spent, the payer the rest", async () => {
  const { client } = await poor(gate);
  const payer = tempo.payer();
  const manager = sessionManager(tempo, payer, client);
  await served(await manager.fetch(gate.at("/cpu")));
  const paid = await manager.fetch(gate.at("/cpu"));
  assert.equal(paid.receipt!.spent, "250");
  const before = await tempo.balance(payer.address);
  await manager.close();
  const channel = await eventually("the chain has closed it", async () => {
    const found = await tempo.channel(manager.channelId!);
    return found.finalized ? found : undefined;
  }, 20_000);
  // The stock client closes with what it signed last, which its free request is a part of.
  const { acceptedCumulative } = paid.receipt!;
  assert.equal(channel.settled, BigInt(acceptedCumulative));
  assert.equal(await tempo.balance(payer.address) - before, channel.deposit - channel.settled);
});

test("a channel that its payer asks the chain to close spends nothing more, and is closed with its last voucher", async () => {
  const payer = tempo.payer();
  const { client, method, channel, denied } = await openSession(gate, tempo, payer);
  await served(await client("/cpu", authorization(await voucher(method, denied, channel, 250n))));
  await tempo.requestClose(payer, channel);
  const closed = await eventually("the chain has closed it", async () => {
    const found = await tempo.channel(channel);
    return found.finalized ? found : undefined;
  }, 90_000);
  assert.equal(closed.settled, 250n);
  await problem(await client("/cpu", authorization(await voucher(method, denied, channel, 750n))), 410, "session/channel-finalized");
});

test("killed at whatever moment, what a channel spent reaches its account once", async () => {
  const { client, method, channel, denied } = await openSession(gate, tempo);
  const sent = authorization(await voucher(method, denied, channel, 100_000n));
  for (const moment of [12, 16, 20, 24, 28, 32, 40]) {
    const asking = Array.from({ length: 16 }, () => client("/cpu", sent).then(({ status }) => status, () => 0));
    await sleep(moment);
    await gate.kill();
    await Promise.all(asking);
    await gate.restart();
  }
  const spent = async () => BigInt(receipt(await served(await client("/cpu", sent)))["spent"]);
  const first = await spent();
  assert.equal(await spent() - first, 250n, "each request costs its price");
  await eventually("the bill has all that was spent", async () => {
    const { paid } = await (await client("/_tollgate/usage", sent)).json() as Table;
    const row = (await gate.ledger("SELECT spent FROM channels WHERE id = ?", channel))[0];
    const billed = BigInt(Math.round(Number(paid.amount) * 1e6));
    assert.ok(row === undefined || billed <= BigInt(row["spent"] as string) + 500n);
    return billed === first + 250n ? true : undefined;
  }, 20_000);
});
