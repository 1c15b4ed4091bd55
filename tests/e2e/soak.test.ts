// The whole sum, under load and with workerd killed three times: the answers that clients got, what the accounts' objects say,
// what the ledger has, and what the owner's bill says are the same number for every account.
//
// Each request holds a slot, so that what it counted is stored before it is answered: nothing of that may be lost. (Of limits
// that are free to lose, a crash may take what was counted since the last write, a second or less; docs/billing.md.) The kills
// come when all answers have come and flushes are on their way.
//
// SOAK_REQUESTS says how many requests; `make soak` sends 20,000.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, sleep } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";
import { ordered } from "./rig/owner.ts";

const REQUESTS = Number(process.env["SOAK_REQUESTS"] ?? 2000);
const ACCOUNTS = 200;
const AT_ONCE = 64;
const KILLS = 3;

let gate: Gate;

before(async () => {
  const share = REQUESTS / ACCOUNTS;
  const endpoint = { fixed_windows: [{ window: "24h", limit: Math.ceil(share * 0.9) }], max_concurrent: 1000 };
  ({ gate } = await startLimits({ endpoints: { "*": endpoint } }));
});

after(stopAll);

interface Count {
  admitted: number;
  denied: number;
}

test(`${REQUESTS} requests of ${ACCOUNTS} accounts, and workerd killed ${KILLS} times: answers, objects, ledger and bill agree`, async () => {
  const counts = new Map<string, Count>(Array.from({ length: ACCOUNTS }, () => [freshAddress(), { admitted: 0, denied: 0 }]));
  const addresses = [...counts.keys()];
  const wave = REQUESTS / (KILLS + 1);
  for (let kills = 0; kills <= KILLS; kills += 1) {
    await send(addresses, counts, kills * wave, wave);
    if (kills === KILLS) break;
    await sleep(300 * (kills + 1));
    await gate.kill();
    await gate.restart();
  }
  const admitted = [...counts.values()].reduce((sum, count) => sum + count.admitted, 0);
  assert.ok(admitted > REQUESTS * 0.85 && admitted < REQUESTS, `${admitted} admitted`);
  const wanted = Object.fromEntries([...counts].map(([ip, count]) => [`ip:${ip}`, count.admitted]));

  const objects: Table = {};
  for (let at = 0; at < addresses.length; at += AT_ONCE) {
    await Promise.all(addresses.slice(at, at + AT_ONCE).map(async (ip) => {
      const { account, calls } = await (await gate.client(ip)("/_tollgate/usage")).json() as Table;
      objects[account] = calls;
    }));
  }
  assert.deepEqual(sorted(objects), sorted(wanted), "the objects say what the answers were");

  await eventually("the ledger has all of it", async () => {
    const [sum] = await gate.ledger("SELECT SUM(calls) AS calls FROM usage");
    return sum!["calls"] === admitted ? true : undefined;
  }, 60_000);
  const rows = await gate.ledger("SELECT account, SUM(calls) AS calls FROM usage GROUP BY account");
  assert.deepEqual(sorted(Object.fromEntries(rows.map(({ account, calls }) => [account, calls]))), sorted(wanted), "the ledger has it, account by account");

  const { items } = await ordered(gate, "GET", "/usage?group_by=account&limit=1000");
  assert.deepEqual(sorted(Object.fromEntries((items as Table[]).map(({ account, calls }) => [account, calls]))), sorted(wanted), "and the bill says it");
});

/** Sends requests number `first` to `first + count`, each account in turn. */
async function send(addresses: string[], counts: Map<string, Count>, first: number, count: number): Promise<void> {
  let next = first;
  const worker = async () => {
    while (next < first + count) {
      const ip = addresses[next % addresses.length]!;
      next += 1;
      const answer = await gate.client(ip)("/soak");
      await answer.arrayBuffer();
      const of = counts.get(ip)!;
      if (answer.status === 200) of.admitted += 1;
      else {
        assert.equal(answer.status, 429);
        of.denied += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function sorted(table: Table): [string, number][] {
  return Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1));
}
