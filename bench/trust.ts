// `make bench-trust`: what a client waits for a refill that is settled first, and for one that is credited on trust and settled
// afterwards (docs/payments.md, "Credit before settlement"). The gate in workerd, a real USDC on anvil, which mines at once, and a
// real facilitator before it, whose settlements are answered at once or after a known delay. Signing is not measured.
import { parseArgs } from "node:util";
import { performance } from "node:perf_hooks";
import { served } from "../tests/e2e/rig/answers.ts";
import { headerV2, offerV2, signV2 } from "../tests/e2e/rig/clients.ts";
import type { Wallet } from "../tests/e2e/rig/chain.ts";
import { eventually, sleep } from "../tests/e2e/rig/eventually.ts";
import { honest } from "../tests/e2e/rig/faulty_facilitator.ts";
import { freshAddress } from "../tests/e2e/rig/gate.ts";
import type { Gate } from "../tests/e2e/rig/gate.ts";
import { bucketPlan, startWorld } from "../tests/e2e/rig/world.ts";
import { median, quantile } from "./load.ts";

const { values } = parseArgs({ options: { refills: { type: "string", default: "25" } } });
const refills = Number(values.refills);
if (!(refills > 0)) throw new Error("--refills takes a number above 0");

/** Seconds are what blocks of the networks take that x402 is used on: 2 s on Base. */
const DELAYS = [0, 2000];
const AFTER = 2;

const world = await startWorld();

interface Payer {
  gate: Gate;
  ip: string;
  wallet: Wallet;
  paid: number;
}

/** Somebody who has nothing left; each refill is one token, which the request that brings it takes. */
async function newcomer(trust: object): Promise<Payer> {
  const gate = await world.gate({ plans: bucketPlan({ bucket: { capacity: 1, refill_rate: 0.001 }, refill: 1 }), payment: trust });
  const payer = { gate, ip: freshAddress(), wallet: await world.chain.wallet(), paid: 0 };
  await served(await gate.client(payer.ip)("/cpu"));
  return payer;
}

/** Pays for one request; the milliseconds that its answer took. It comes back when all is settled and known. */
async function refill(payer: Payer): Promise<{ ms: number; isSettled: boolean }> {
  const client = payer.gate.client(payer.ip);
  const headers = headerV2(await signV2(payer.wallet, offerV2(await client("/cpu"))));
  const sent = performance.now();
  const answer = await served(await client("/cpu", { headers }));
  await answer.arrayBuffer();
  const ms = performance.now() - sent;
  payer.paid += 1;
  const all = "SELECT id FROM payments WHERE account = ? AND state = 'credited'";
  const isKnown = async () => (await payer.gate.ledger(all, `ip:${payer.ip}`)).length === payer.paid ? true : undefined;
  await eventually("it is settled", isKnown);
  return { ms, isSettled: answer.headers.has("payment-response") };
}

async function measure(payers: Payer[]): Promise<number[][]> {
  const times: number[][] = payers.map(() => []);
  for (let round = 0; round < refills; round += 1) {
    for (const [nth, payer] of payers.entries()) {
      const { ms, isSettled } = await refill(payer);
      if (isSettled !== (nth === 0)) throw new Error("it is not what is measured here");
      times[nth]!.push(ms);
    }
  }
  return times;
}

try {
  const payers = [await newcomer({}), await newcomer({ trust_after: AFTER, trust_window: "1h" })];
  for (const payer of payers) for (let paid = 0; paid < AFTER; paid += 1) await refill(payer);
  console.log(`${refills} refills of each kind in turn, medians (and 90th percentiles) in ms`);
  for (const delay of DELAYS) {
    world.facilitator.always("settle", async (call) => {
      await sleep(delay);
      await honest(call);
    });
    const [settled, trusted] = (await measure(payers)).map((times) => times.sort((a, b) => a - b));
    const told = (times: number[]) => `${median(times).toFixed(0).padStart(5)} (${quantile(times, 0.9).toFixed(0)})`;
    console.log(`settlements take ${delay / 1000} s more: settled first ${told(settled!)}, on trust ${told(trusted!)}`);
  }
} finally {
  await world.stop();
}
