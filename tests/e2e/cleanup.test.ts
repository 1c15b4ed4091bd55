// What is left of a thousand visitors when they are gone: nothing. The test looks into the files in which workerd keeps
// Durable Objects, one SQLite database for each: a database whose tables hold no row is one that costs nothing.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { remaining, served } from "./rig/answers.ts";
import { eventually } from "./rig/eventually.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";

const VISITORS = 1000;

let gate: Gate;
let persist: string;

before(async () => {
  ({ gate, persist } = await startLimits({
    endpoints: {
      "/visit": { bucket: { capacity: 4, refill_rate: 4 }, fixed_windows: [{ window: "1s", limit: 3 }], sliding_windows: [{ window: "1s", limit: 3 }], max_concurrent: 10, concurrency_expiry: "2s" },
      "/stay": { fixed_windows: [{ window: "24h", limit: 3 }] },
    },
  }));
});

after(stopAll);

/** The database files of all account objects there ever were. */
async function objects(): Promise<string[]> {
  const folder = join(persist, "do", "tollgate-AccountObject");
  return (await readdir(folder)).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name)).map((name) => join(folder, name));
}

/** The rows in all tables of a database, but for those in which SQLite and workerd keep their own. */
function rows(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_cf_%'").all();
    const count = ({ name }: Table) => database.prepare(`SELECT COUNT(*) AS count FROM "${name}"`).get()!["count"] as number;
    return tables.map(count).reduce((sum, each) => sum + each, 0);
  } finally {
    database.close();
  }
}

test("a thousand visitors leave no row in their objects once they are whole and flushed, and who is not whole keeps them", async () => {
  const resident = gate.client();
  const visitor = gate.client();
  await served(await resident("/stay"));
  await served(await visitor("/visit"));
  for (let visitors = 1; visitors < VISITORS;) {
    const batch = Math.min(50, VISITORS - visitors);
    await Promise.all(Array.from({ length: batch }, async () => await (await served(await gate.client()("/visit"))).text()));
    visitors += batch;
  }
  await eventually("the ledger has what all of them used", async () => {
    const [ledger] = await gate.ledger("SELECT COUNT(DISTINCT account) AS accounts, SUM(calls) AS calls FROM usage");
    return ledger!["accounts"] === VISITORS + 1 && ledger!["calls"] === VISITORS + 1 ? true : undefined;
  });
  const files = await objects();
  assert.equal(files.length, VISITORS + 1);
  const holding = await eventually("at most one object holds rows", async () => {
    // One after another, and no more than it takes to know: workerd is at work on them.
    const found = [];
    for (const file of files) if (found.length < 2 && rows(file) > 0) found.push(file);
    return found.length < 2 ? found : undefined;
  });
  assert.equal(holding.length, 1, "the resident's rows are kept");
  assert.equal(remaining(await served(await visitor("/visit"))), 2, "who comes back is new");
  assert.equal(remaining(await served(await resident("/stay"))), 1, "who was remembered is remembered");
});
