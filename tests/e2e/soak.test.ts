// The whole sum, under load and with workerd killed three times: the answers that clients got, what the accounts' objects say,
// what the ledger has, and what the owner's bill says are the same number for every account.
//
// Each request holds a slot, so that what it counted is stored before it is answered: nothing of that may be lost. (Of limits
// that are free to lose, a crash may take what was counted since the last write, a second or less; docs/billing.md.) Two kills
// come when all answers have come and flushes are on their way, one while requests are in flight. What was answered is counted;
// a request whose answer never came may be, or not: for each account, answered <= object = ledger = bill <= answered + unanswered.
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
/** The kill that comes in the middle of its wave. */
const IN_FLIGHT = 1;

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
  /** Requests that the worker took with it. */
  unanswered: number;
}

test(`${REQUESTS} requests of ${ACCOUNTS} accounts, and workerd killed ${KILLS} times: answers, objects, ledger and bill agree`, async () => {
  const counts = new Map<string, Count>(Array.from({ length: ACCOUNTS }, () => [freshAddress(), { admitted: 0, denied: 0, unanswered: 0 }]));
  const addresses = [...counts.keys()];
  const wave = REQUESTS / (KILLS + 1);
  for (let kills = 0; kills <= KILLS; kills += 1) {
    const end = (kills + 1) * wave;
    if (kills === IN_FLIGHT) {
      const half = Promise.withResolvers<void>();
      let answers = 0;
      const sending = send(addresses, counts, kills * wave, end, () => {
        answers += 1;
        if (answers === wave / 2) half.resolve();
      });
      await half.promise;
      await gate.kill();
      const next = await sending;
      await gate.restart();
      assert.ok([...counts.values()].some(({ unanswered }) => unanswered > 0), "requests were in flight");
      await send(addresses, counts, next, end);
      continue;
    }
    await send(addresses, counts, kills * wave, end);
    if (kills === KILLS) break;
    await sleep(300 * (kills + 1));
    await gate.kill();
    await gate.restart();
  }
  const admitted = [...counts.values()].reduce((sum, count) => sum + count.admitted, 0);
  assert.ok(admitted > REQUESTS * 0.85 && admitted < REQUESTS, `${admitted} admitted`);

  const objects: Table = {};
  for (let at = 0; at < addresses.length; at += AT_ONCE) {
    await Promise.all(addresses.slice(at, at + AT_ONCE).map(async (ip) => {
      const { account, calls } = await (await gate.client(ip)("/_tollgate/usage")).json() as Table;
      objects[account] = calls;
    }));
  }
  for (const [ip, count] of counts) {
    const held = objects[`ip:${ip}`];
    assert.ok(held >= count.admitted && held <= count.admitted + count.unanswered, `${ip}: ${held} of ${JSON.stringify(count)}`);
  }
  const wanted = objects;
  const total = Object.values(objects).reduce((sum, calls) => sum + calls, 0);

  await eventually("the ledger has all of it", async () => {
    const [sum] = await gate.ledger("SELECT SUM(calls) AS calls FROM usage");
    return sum!["calls"] === total ? true : undefined;
  });
  const rows = await gate.ledger("SELECT account, SUM(calls) AS calls FROM usage GROUP BY account");
  assert.deepEqual(sorted(Object.fromEntries(rows.map(({ account, calls }) => [account, calls]))), sorted(wanted), "the ledger has it, account by account");

  const { items } = await ordered(gate, "GET", "/usage?group_by=account&limit=1000");
  assert.deepEqual(sorted(Object.fromEntries((items as Table[]).map(({ account, calls }) => [account, calls]))), sorted(wanted), "and the bill says it");
});

/** Sends the requests from number `first` to before `end`, each account in turn; until the worker dies. The first not sent. */
async function send(addresses: string[], counts: Map<string, Count>, first: number, end: number, answered = () => {}): Promise<number> {
  let next = first;
  let dead = false;
  const worker = async () => {
    while (next < end && !dead) {
      const ip = addresses[next % addresses.length]!;
      next += 1;
      const of = counts.get(ip)!;
      const status = await gate.client(ip)("/soak").then(async (answer) => {
        await answer.arrayBuffer();
        return answer.status;
      }, () => undefined).catch(() => undefined);
      if (status === undefined) {
        dead = true;
        of.unanswered += 1;
      } else if (status === 200) of.admitted += 1;
      else {
        assert.equal(status, 429);
        of.denied += 1;
      }
      answered();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return next;
}

function sorted(table: Table): [string, number][] {
  return Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1));
}
