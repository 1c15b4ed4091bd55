// MPP sessions: the stock session client opens a payment channel on a Tempo chain and spends from it by vouchers; what a
// voucher may not do; and an agent that keeps its own limits from whatever address it calls.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exhaust, poor, problem, remaining, served } from "./rig/answers.ts";
import { eventually } from "./rig/eventually.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { altered, asked, authorization, openSession, receipt, sessionManager, sessionMethod, voucher } from "./rig/mpp.ts";
import { ESCROW, PATH_USD, TEMPO_CHAIN_ID, startTempo } from "./rig/tempo.ts";
import type { Tempo } from "./rig/tempo.ts";
import { PAYEE, bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let tempo: Tempo;
let gate: Gate;

const session = (more: Table = {}): Table => ({ escrow: ESCROW, chain_id: TEMPO_CHAIN_ID, currency: PATH_USD, ...more });
const free = bucketPlan()["free"];
const plans = {
  free,
  agents: {
    name: "Agents",
    endpoints: {
      "/dear": { bucket: { capacity: 1, refill_rate: 0.001 }, over_limit: "pay", price: "0.4", refill: 4 },
      // Three events of streams are free in a day; each further one is a fourth of 2000.
      "/stream": { fixed_windows: [{ window: "86_400s", limit: 3, unit_type: "message" }], over_limit: "pay", price: "0.002", refill: 4 },
      "*": { bucket: { capacity: 1, refill_rate: 0.001 }, over_limit: "pay", price: "0.001", refill: 3 },
    },
  },
};

before(async () => {
  [world, tempo] = await Promise.all([startWorld(), startTempo()]);
  gate = await world.gate({
    plans,
    settings: { default_plans: { session: "agents" }, endpoints: { "/stream": { units: { message: "events" } } } },
    payment: { session: session({ rpc: tempo.url, voucher_timeout: "1s" }) },
  });
});

after(async () => await world.stop());

const opened = async () => await openSession(gate, tempo);

test("a 402 asks a session for the price of one request, a part of a refill's", async () => {
  const { denied } = await poor(gate);
  const challenge = asked(denied);
  assert.equal(challenge.method, "tempo");
  const { amount, currency, recipient, unitType, methodDetails } = challenge.request;
  assert.deepEqual([amount, currency, recipient, unitType], ["250", PATH_USD, PAYEE, "request"]);
  assert.deepEqual(methodDetails, { chainId: TEMPO_CHAIN_ID, escrowContract: ESCROW, sessionProtocol: "v1" });
});

test("the stock session client opens a channel, spends from it beyond its free allowance, and closes it", async () => {
  const { client } = await poor(gate, "/echo");
  const payer = tempo.payer();
  const manager = sessionManager(tempo, payer, client);
  const first = await manager.fetch(gate.at("/echo"));
  await served(first);
  assert.deepEqual([first.receipt!.acceptedCumulative, first.receipt!.spent], ["250", "0"], "the first one is free");
  const { headers } = await first.json() as Table;
  assert.equal(headers["tollgate-client"], `session:${first.channelId}`);
  assert.equal(headers["tollgate-plan"], "agents");
  // The address asks 250 of its plan; the session's own plan sells a third of 1000, rounded up, and says so.
  const second = await manager.fetch(gate.at("/echo"));
  assert.equal(second.status, 200, await second.clone().text());
  assert.equal(second.receipt!.spent, "334");
  assert.equal((await second.json() as Table)["headers"]["tollgate-payer"], payer.address.toLowerCase());
  const closed = await manager.close();
  assert.equal(closed!.channelId, first.channelId);
  const closings = async () => (await gate.ledger("SELECT * FROM channels WHERE id = ? AND closed = 1", manager.channelId!))[0];
  const row = await eventually("the ledger has what the payee redeems", closings);
  assert.deepEqual([row["payer"], row["spent"]], [payer.address.toLowerCase(), "334"]);
  assert.match(row["signature"], /^0x[0-9a-f]{130}$/);
});

test("a session is one client from whatever address", async () => {
  const { method, channel, denied } = await opened();
  const there = gate.client();
  await exhaust(there);
  const answer = await there("/cpu", authorization(await voucher(method, denied, channel, 334n)));
  assert.equal(answer.status, 402, "its free allowance is used up, and the challenge was another plan's");
  await served(await there("/cpu", authorization(await voucher(method, answer, channel, 334n))));
});

test("6.3 #24 a voucher does what it may and no more", async () => {
  const { client, method, channel, denied } = await opened();
  const send = async (cumulative: bigint, from: Response, change?: (credential: any) => void) => {
    const sent = await voucher(method, from, channel, cumulative);
    return await client("/cpu", authorization(change ? altered(sent, change) : sent));
  };
  const short = await send(300n, denied);
  await problem(short.clone(), 402, "invalid-challenge");
  const own = short;
  assert.equal(asked(own).request["amount"], "334");
  await problem(await send(333n, own), 402, "session/insufficient-balance");
  await served(await send(334n, own));
  await problem(await send(334n, own), 402, "session/insufficient-balance");
  await problem(await send(333n, own), 402, "session/delta-too-small");
  await problem(await send(2_000_000n, own), 402, "session/amount-exceeds-deposit");
  await problem(await send(668n, own, ({ payload }) => payload.cumulativeAmount = "669"), 402, "session/signer-mismatch");
  await problem(await send(668n, own, ({ payload }) => payload.signature = "0x12"), 402, "session/invalid-signature");
  await problem(await send(668n, own, ({ payload }) => payload.channelId = `0x${"ab".repeat(32)}`), 410, "session/channel-not-found");
  await problem(await send(668n, own, ({ payload }) => delete payload.channelId), 402, "invalid-payload");
  await served(await send(668n, own));
});

test("6.3 #24 two vouchers at once are spent one after the other, and one voucher pays once", async () => {
  const { client, method, channel, denied } = await opened();
  const own = await client("/cpu", authorization(await voucher(method, denied, channel, 300n)));
  const sent = await voucher(method, own, channel, 1002n);
  const answers = await Promise.all(Array.from({ length: 8 }, () => client("/cpu", authorization(sent))));
  assert.equal(answers.filter(({ status }) => status === 200).length, 3, "1002 are three times 334");
});

test("6.3 #24 a voucher for one endpoint's price never pays another's", async () => {
  const { client, method, channel, denied } = await opened();
  const cheap = await client("/cpu", authorization(await voucher(method, denied, channel, 300n)));
  const dear = await client("/dear", authorization(await voucher(method, cheap, channel, 300n)));
  assert.equal(dear.status, 200, "what is free is free");
  const refused = await client("/dear", authorization(await voucher(method, cheap, channel, 200_000n)));
  await problem(refused.clone(), 402, "invalid-challenge");
  assert.equal(asked(refused).request["amount"], "100000");
  await served(await client("/dear", authorization(await voucher(method, refused, channel, 200_000n))));
});

test("6.3 #24 a closed channel is gone", async () => {
  const { client, method, channel, denied } = await opened();
  const closing = await client("/cpu", { method: "POST", ...authorization(await voucher(method, denied, channel, 250n, "close")) });
  assert.equal(closing.status, 204);
  await problem(await client("/cpu", authorization(await voucher(method, denied, channel, 500n))), 410, "session/channel-finalized");
});

/** The names and the data of a stream's events. */
async function events(answer: Response): Promise<[string, Table][]> {
  const blocks = (await answer.text()).split("\n\n").filter((block) => block !== "");
  return blocks.map((block) => {
    const [, name, data] = /^(?:event: (.*)\n)?data: (.*)$/.exec(block)!;
    return [name ?? "message", JSON.parse(data!)];
  });
}

const names = (of: [string, Table][]) => of.map(([name]) => name);

test("the stock session client pays for a stream as it comes", async () => {
  const { client } = await poor(gate, "/stream");
  const vouchers: string[] = [];
  const manager = sessionManager(tempo, tempo.payer(), async (input, init) => {
    if (init?.method === "POST") vouchers.push(String(input));
    return await client(input as string, init);
  });
  const receipts: Table[] = [];
  const messages: string[] = [];
  const stream = await manager.sse(gate.at("/stream?count=6&every=5"), { onReceipt: (receipt) => receipts.push(receipt) });
  for await (const message of stream) messages.push(message);
  assert.deepEqual(messages, [0, 1, 2, 3, 4, 5].map((event) => `{"event":${event}}`));
  assert.equal(vouchers.length, 3, "three events are free, and each other one waits for its voucher");
  assert.deepEqual(receipts.map(({ spent, acceptedCumulative }) => [spent, acceptedCumulative]), [["1500", "1500"]]);
  const closed = await manager.close();
  assert.equal(closed!.spent, "1500");
});

test("6.3 #24 a stream that no voucher covers ends with what was used", async () => {
  const { client, method, channel, denied } = await opened();
  const sent = authorization(await voucher(method, denied, channel, 1000n));
  const came = await events(await served(await client("/stream?count=9&every=5", sent)));
  assert.deepEqual(names(came), [...Array(5).fill("message"), "payment-need-voucher", "payment-receipt"]);
  const [, asks] = came[5]!, [, receipt] = came[6]!;
  assert.deepEqual([asks["requiredCumulative"], asks["acceptedCumulative"], asks["deposit"]], ["1500", "1000", "250000"]);
  assert.deepEqual([receipt["spent"], receipt["channelId"], receipt["status"]], ["1000", channel, "success"]);
  const usage = await (await served(await client("/_tollgate/usage", sent))).json() as Table;
  assert.equal(usage["units"]["message"], 5, "what did not pass does not count");
});

test("what vouchers cover already passes without a word, and two streams at once share it", async () => {
  const { client, method, channel, denied } = await opened();
  const sent = authorization(await voucher(method, denied, channel, 1500n));
  const answers = await Promise.all([0, 1].map(async () => await client("/stream?count=3&every=5", sent)));
  const came = (await Promise.all(answers.map(async (answer) => await events(await served(answer))))).flat();
  assert.deepEqual(names(came).sort(), [...Array(6).fill("message"), "payment-receipt", "payment-receipt"]);
  const usedUp = await client("/stream?count=1", sent);
  assert.equal(usedUp.status, 402, "used up: a request that would use more is asked to pay");
  assert.equal(asked(usedUp).request["amount"], "500", "for one event, to begin with");
  const more = authorization(await voucher(method, usedUp, channel, 2500n));
  const two = await events(await served(await client("/stream?count=2&every=5", more)));
  assert.deepEqual(names(two), ["message", "message", "payment-receipt"]);
  assert.equal(two[2]![1]["spent"], "2500", "two events, and no more");
});

test("6.3 #24 a channel that nobody opened is unknown, and a transaction that the chain refuses opens none", async () => {
  const { client, method, denied } = await opened();
  const never = await voucher(method, denied, `0x${"cd".repeat(32)}`, 250n);
  await problem(await client("/cpu", authorization(never)), 410, "session/channel-not-found");
  const junk = altered(never, ({ payload }) => Object.assign(payload, { action: "open", transaction: "0x7600" }));
  const refused = await client("/cpu", authorization(junk));
  await problem(refused, 402, "verification-failed");
});

for (const [strategy, limits, check] of [
  ["block", { over_limit: "block" }, async (response: Response) => await problem(response, 429, "rate-limited")],
  ["queue", { bucket: { capacity: 1, refill_rate: 4 }, over_limit: "queue", max_wait: "20s" }, async (response: Response) => await served(response)],
  ["degrade", { over_limit: "degrade" }, async (response: Response) => assert.equal((await served(response)).headers.get("tollgate-degraded"), "true")],
] as const) {
  test(`a session over its limit is treated as its plan says: ${strategy}`, async () => {
    const strict = await world.gate({
      plans: { free, agents: { name: "Agents", endpoints: { "*": { bucket: { capacity: 1, refill_rate: 0.001 }, ...limits } } } },
      settings: { default_plans: { session: "agents" } },
      payment: { session: session(), rpc: tempo.url },
    });
    const { client, denied } = await poor(strict);
    const method = sessionMethod(tempo, tempo.payer());
    const first = await served(await client("/cpu", authorization(await method.createCredential({ challenge: asked(denied) }))));
    assert.equal(remaining(first), 0);
    await check(await client("/cpu", authorization(await voucher(method, denied, receipt(first)["channelId"], 500n))));
    await strict.stop();
  });
}

test("without a chain node sessions are not offered", async () => {
  const without = await world.gate({ plans, payment: { session: session() } });
  const { denied } = await poor(without);
  assert.equal(asked(denied), undefined);
  await without.stop();
});
