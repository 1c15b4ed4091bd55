// What usage costs in D1, counted where it is written: rows for each account, endpoint and hour, and one write of each for a
// flush, however many requests there were. The arithmetic in docs/scale.md stands on these numbers.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "./rig/eventually.ts";
import { freshAddress, putUsage } from "./rig/gate.ts";
import type { Gate } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { HOUR, startLimits } from "./rig/limits.ts";

const ACCOUNTS = 10;
/** Seconds between two flushes of an account. */
const INTERVAL = 2;

let gate: Gate;

before(async () => {
  const endpoint = { fixed_windows: [{ window: "24h", limit: 40 }] };
  ({ gate } = await startLimits({ endpoints: { "/a": endpoint, "/b": endpoint }, settings: { flush_interval: `${INTERVAL}s` } }));
  await gate.ledger("CREATE TABLE writes (n INTEGER NOT NULL)");
  await gate.ledger("INSERT INTO writes VALUES (0)");
  for (const event of ["INSERT", "UPDATE"]) {
    await gate.ledger(`CREATE TRIGGER count_${event} AFTER ${event} ON usage BEGIN UPDATE writes SET n = n + 1; END`);
  }
});

after(stopAll);

async function writes(): Promise<number> {
  return (await gate.ledger("SELECT n FROM writes"))[0]!["n"];
}

/** Sends `count` requests to each endpoint for each address; how many were admitted. */
async function send(addresses: string[], count: number): Promise<number> {
  let admitted = 0;
  for (let round = 0; round < count; round += 1) {
    const answers = await Promise.all(addresses.flatMap((ip) => ["/a", "/b"].map(async (path) => await gate.client(ip)(path))));
    for (const answer of answers) {
      await answer.arrayBuffer();
      if (answer.status === 200) admitted += 1;
    }
  }
  return admitted;
}

test("usage writes one row for an account, endpoint and hour, once for a flush, however many requests there are", async () => {
  const addresses = Array.from({ length: ACCOUNTS }, () => freshAddress());
  const began = Date.now();
  const admitted = await send(addresses, 30);
  assert.equal(admitted, ACCOUNTS * 2 * 30);
  await eventually("the ledger has it", async () => (await gate.ledger("SELECT SUM(calls) AS calls FROM usage"))[0]!["calls"] === admitted ? true : undefined);
  // A second each for what came after the last look, and for what the first and the last flush are off.
  const flushes = Math.ceil((Date.now() - began) / 1000 / INTERVAL) + 2;
  const hours = Math.floor(Date.now() / HOUR) - Math.floor(began / HOUR) + 1;
  const [{ rows }] = await gate.ledger("SELECT COUNT(*) AS rows FROM usage") as [{ rows: number }];
  assert.ok(rows >= ACCOUNTS * 2 && rows <= ACCOUNTS * 2 * hours, `${rows} rows in ${hours} hours`);
  const written = await writes();
  assert.ok(written >= rows && written <= rows * flushes, `${written} writes of ${rows} rows in ${flushes} flushes`);
  assert.ok(written < admitted / 2, `${written} writes for ${admitted} requests`);
});

test("denied requests write no row of their own", async () => {
  const ip = freshAddress();
  assert.equal(await send([ip], 40), 80);
  await eventually("the ledger has it", async () => (await gate.ledger("SELECT SUM(calls) AS calls FROM usage WHERE account = ?", `ip:${ip}`))[0]!["calls"] === 80 ? true : undefined);
  const [before, began] = [await writes(), Date.now()];
  assert.equal(await send([ip], 100), 0);
  await eventually("the ledger has them", async () => (await gate.ledger("SELECT SUM(blocked) AS blocked FROM usage WHERE account = ?", `ip:${ip}`))[0]!["blocked"] === 200 ? true : undefined);
  const flushes = Math.ceil((Date.now() - began) / 1000 / INTERVAL) + 2;
  const written = await writes() - before;
  assert.ok(written <= 2 * flushes, `${written} writes in ${flushes} flushes`);
});

test("a row costs D1 two writes when it is new, for the row and its index, and one from then on", async () => {
  await gate.ledger("DROP TRIGGER count_INSERT");
  await gate.ledger("DROP TRIGGER count_UPDATE");
  const row = (revision: number) => ["key:a", "/a", 3600, "life", revision, revision, 0, 0, "0", 0, 0, "0", 0];
  const [first, second, repeated] = [await gate.written(putUsage(), ...row(1)), await gate.written(putUsage(), ...row(2)), await gate.written(putUsage(), ...row(1))];
  assert.deepEqual([first, second, repeated], [2, 1, 0]);
});
