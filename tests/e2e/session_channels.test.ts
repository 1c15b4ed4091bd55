// The channels of MPP sessions and their chain: what is sent to the node and what is not, top-ups, and what survives a crash
// between spending and crediting.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { poor, problem, served } from "./rig/answers.ts";
import type { Wallet } from "./rig/chain.ts";
import { eventually } from "./rig/eventually.ts";
import type { Alarm, Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { altered, asked, authorization, openSession, receipt, sessionManager, sessionMethod, voucher } from "./rig/mpp.ts";
import { ordered } from "./rig/owner.ts";
import { ESCROW, PATH_USD, TEMPO_CHAIN_ID, startTempo } from "./rig/tempo.ts";
import type { Tempo } from "./rig/tempo.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { GateWishes, World } from "./rig/world.ts";

let world: World;
let tempo: Tempo;
let gate: Gate;
/** One that closes channels which nobody uses. */
let impatient: Gate;
/** One whose node mines nothing. */
let patient: Gate;
/** One that can be made to die at a certain moment. */
let mortal: Gate;
let persist: string;

type Session = Awaited<ReturnType<typeof openSession>>;

const STRANGER = "0x000000000000000000000000000000000000dEaD";

before(async () => {
  [world, tempo] = await Promise.all([startWorld(), startTempo()]);
  persist = await mkdtemp(join(tmpdir(), "tollgate-"));
  const agents = { endpoints: { "*": { bucket: { capacity: 1, refill_rate: 0.001 }, over_limit: "pay", price: "0.001", refill: 4 } } };
  const start = async (session: Table = {}, more: GateWishes = {}) => await world.gate({
    secrets: { SESSION_PAYEE_KEY: tempo.payee.key, ADMIN_TOKEN },
    plans: { ...bucketPlan(), agents },
    settings: { default_plans: { session: "agents" } },
    payment: {
      pay_to: tempo.payee.address,
      session: { escrow: ESCROW, chain_id: TEMPO_CHAIN_ID, currency: PATH_USD, rpc: tempo.url, ...session },
    },
    ...more,
  });
  gate = await start();
  impatient = await start({ close_after: "1s" });
  patient = await start({ rpc: tempo.idle });
  mortal = await start({}, { platform: "faulty_platform.js", persist });
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

/** The channel as the escrow has it once the gate has closed it there. */
async function closedOnChain(channel: string): Promise<Awaited<ReturnType<Tempo["channel"]>>> {
  return await eventually("the chain has closed it", async () => {
    const found = await tempo.channel(channel);
    return found.finalized ? found : undefined;
  });
}

/** What the session's client does to close its channel. The alarm rings at once then. */
async function close({ client, method, channel, denied }: Session): Promise<void> {
  const sent = authorization(await voucher(method, denied, channel, 250n, "close"));
  assert.equal((await client("/cpu", { method: "POST", ...sent })).status, 204);
}

const account = ({ channel }: Session) => `session:${channel}`;

/** The tokens that a session of the mortal gate has left. */
async function left(session: Session): Promise<number> {
  const { endpoints } = await ordered(mortal, "GET", `/accounts/${account(session)}`);
  return Math.floor(endpoints[0].tokens);
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
  const channel = await closedOnChain(manager.channelId!);
  // The stock client closes with what it signed last, which its free request is a part of.
  const { acceptedCumulative } = paid.receipt!;
  assert.equal(channel.settled, BigInt(acceptedCumulative));
  assert.equal(await tempo.balance(payer.address) - before, channel.deposit - channel.settled);
});

/** Closes a session of the mortal gate, and waits until its channel's alarm has rung. */
async function rung(session: Session): Promise<Alarm> {
  const alarms = async () => (await mortal.seen()).alarms.filter(({ kept }) => kept.includes(session.channel));
  const before = (await alarms()).length;
  await close(session);
  return await eventually("the alarm has rung", async () => (await alarms())[before]);
}

test("a credit that is on its way is not brought a second time: the account has forgotten the first when the other arrives", async () => {
  const session = await openSession(mortal, tempo);
  await mortal.faults({ credits: { [account(session)]: "late" } });
  const asking = session.client("/cpu", authorization(await voucher(session.method, session.denied, session.channel, 250n)));
  await eventually("it has spent", async () => (await mortal.seen()).credits === 1 ? true : undefined);
  await rung(session);
  await mortal.faults();
  await served(await asking);
  assert.equal(await left(session), 0, "what was paid for was used");
});

test("an alarm that cannot bring a credit rings again by itself, and the credit comes", async () => {
  const session = await openSession(mortal, tempo);
  await mortal.faults({ credits: { [account(session)]: "refused" } });
  await problem(await session.client("/cpu", authorization(await voucher(session.method, session.denied, session.channel, 250n))), 500, "internal");
  const { failed, next } = await rung(session);
  assert.equal(failed, false, "the platform rings again a few times only");
  assert.ok(next! <= Date.now() + 60_000);
  await mortal.faults();
  assert.equal(await left(session), 0);
  await rung(session);
  assert.equal(await left(session), 1);
});

// Most of these wait for a channel's alarm, which rings ten seconds after what was asked of it last: they wait at once.
suite("what takes its time", { concurrency: true }, () => {
  test("openings that are never confirmed count as failed payments: they cost their sender nothing, and the gate a wait", async () => {
    const { client, denied } = await poor(patient);
    const sent = authorization(await sessionMethod(tempo, tempo.payer()).createCredential({ challenge: asked(denied) }));
    const openings = () => Array.from({ length: 20 }, async () => await client("/cpu", sent));
    for (const answer of await Promise.all(openings())) {
      assert.equal((await problem(answer, 503, "facilitator-unavailable"))["reason"], "transaction_unconfirmed");
    }
    // One is forgiven each three seconds; of twenty at once some are too many, and answered before the others.
    await problem(await Promise.race(openings()), 429, "too-many-failures");
  });

  test("a channel that its payer asks the chain to close spends nothing more, and is closed with its last voucher", async () => {
    const payer = tempo.payer();
    const { client, method, channel, denied } = await openSession(gate, tempo, payer);
    await served(await client("/cpu", authorization(await voucher(method, denied, channel, 250n))));
    await tempo.requestClose(payer, channel);
    const closed = await closedOnChain(channel);
    assert.equal(closed.settled, 250n);
    await problem(await client("/cpu", authorization(await voucher(method, denied, channel, 750n))), 410, "session/channel-finalized");
  });

  test("a channel that nobody uses for `close_after` is closed with its last voucher, and its payer gets the rest", async () => {
    const payer = tempo.payer();
    const { client, method, channel, denied } = await openSession(impatient, tempo, payer);
    await served(await client("/cpu", authorization(await voucher(method, denied, channel, 1000n))));
    const before = await tempo.balance(payer.address);
    const closed = await closedOnChain(channel);
    assert.equal(closed.settled, 1000n, "what was signed for, though 250 were spent");
    assert.equal(await tempo.balance(payer.address) - before, closed.deposit - 1000n);
    await problem(await client("/cpu", authorization(await voucher(method, denied, channel, 1250n))), 410, "session/channel-finalized");
  });

  test("6.3 #15 a death between spending from a channel and hearing of the credit: the account is credited, once", async () => {
    const lost = await openSession(mortal, tempo), unheard = await openSession(mortal, tempo);
    await mortal.faults({ credits: { [account(lost)]: "lost", [account(unheard)]: "unanswered" } });
    const sent = new Map<Session, { headers: Record<string, string> }>();
    for (const session of [lost, unheard]) {
      sent.set(session, authorization(await voucher(session.method, session.denied, session.channel, 250n)));
    }
    const asking = [lost, unheard].map(async (session) => await session.client("/cpu", sent.get(session)).catch(() => undefined));
    await eventually("both have spent", async () => (await mortal.seen()).credits >= 2 ? true : undefined);
    await mortal.kill();
    await Promise.all(asking);
    await mortal.restart();

    const bill = async (session: Session) => (await (await served(await session.client("/_tollgate/usage", sent.get(session)))).json() as Table)["paid"];
    assert.deepEqual(await Promise.all([lost, unheard].map(left)), [0, 0], "one has no credit yet, the other's request took it");
    for (const { channel } of [lost, unheard]) {
      const rows = async () => await mortal.ledger("SELECT spent FROM channels WHERE id = ? AND spent = '250'", channel);
      // The ledger is told when the account has what was spent.
      await eventually("the alarm has done its work", async () => (await rows())[0]);
    }
    for (const session of [lost, unheard]) assert.deepEqual(await bill(session), { count: 1, amount: "0.00025" });
    // A channel that is closed rings at once, and goes through all of it again.
    for (const session of [lost, unheard]) {
      await close(session);
      await closedOnChain(session.channel);
    }
    assert.deepEqual(await Promise.all([lost, unheard].map(left)), [1, 0], "what was paid for and not used is there, once");
  });
});
