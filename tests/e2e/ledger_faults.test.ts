// The way of usage into the ledger, with a fault at each of its writes: the ledger refuses a row, a part of the rows, everything,
// or the worker dies when some of it is written. No request notices, every bill stays right, and in the end the ledger has
// exactly what was counted.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, served } from "./rig/answers.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually, sleep } from "./rig/eventually.ts";
import { freshAddress, putUsage } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { post, startLimits } from "./rig/limits.ts";
import { issue, ordered } from "./rig/owner.ts";

/** More endpoints than one transaction of a flush has room for. */
const ENDPOINTS = Array.from({ length: 120 }, (_, nth) => `/e/${nth}`);

let gate: Gate;

before(async () => {
  // Slots are stored before an answer, and with them all that was counted: a crash loses none of it.
  const plain = { fixed_windows: [{ window: "24h", limit: 1_000_000 }], max_concurrent: 50 };
  ({ gate } = await startLimits({
    endpoints: { "/a": plain, "/b": plain, "*": plain, ...Object.fromEntries(ENDPOINTS.map((path) => [path, plain])) },
  }));
});

after(stopAll);

async function calls(client: Fetch, ...paths: string[]): Promise<void> {
  await Promise.all(paths.map(async (path) => await (await served(await client(path))).text()));
}

/** What the ledger has of an account: calls by endpoint, and units. */
async function inLedger(account: string): Promise<Table> {
  const rows = await gate.ledger("SELECT endpoint AS name, SUM(calls) AS n FROM usage WHERE account = ? GROUP BY endpoint UNION ALL SELECT unit, SUM(quantity) / 1000000 FROM usage_units WHERE account = ? GROUP BY unit", account, account);
  return Object.fromEntries(rows.map(({ name, n }) => [name, n]));
}

async function reaches(account: string, wanted: Table): Promise<void> {
  let found: Table = {};
  await eventually(`the ledger has of ${account} what was counted`, async () => {
    found = await inLedger(account);
    return JSON.stringify(sorted(found)) === JSON.stringify(sorted(wanted)) ? true : undefined;
  }).catch((error: Error) => assert.deepEqual(found, wanted, error.message));
}

function sorted(table: Table): [string, any][] {
  return Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1));
}

async function billed(client: Fetch): Promise<Table> {
  const { calls, units } = await (await served(await client("/_tollgate/usage"))).json() as Table;
  return { calls, ...units };
}

/** The write of these rows fails until the fault is taken away. */
async function fault(name: string, on: string, when: string): Promise<() => Promise<void>> {
  await gate.ledger(`CREATE TRIGGER ${name} BEFORE ${on} WHEN ${when} BEGIN SELECT RAISE(ABORT, 'a fault for the test'); END`);
  return async () => void await gate.ledger(`DROP TRIGGER ${name}`);
}

function warned(what: RegExp): boolean {
  return gate.logs.some(({ message }) => what.test(message));
}

test("a fault at any row of a flush: requests pass, the bill is right, and the ledger gets it all in the end", async () => {
  const faults: [string, string, string][] = [
    ["first_row", "INSERT ON usage", "NEW.account = 'key:first_row' AND NEW.endpoint = '/a'"],
    ["second_row", "INSERT ON usage", "NEW.account = 'key:second_row' AND NEW.endpoint = '/b'"],
    ["units_row", "INSERT ON usage_units", "NEW.account = 'key:units_row'"],
    ["later_total", "UPDATE ON usage", "NEW.account = 'key:later_total'"],
    ["later_units", "UPDATE ON usage_units", "NEW.account = 'key:later_units'"],
    ["use_of_key", "UPDATE OF last_used_at ON keys", "NEW.account = 'key:use_of_key'"],
  ];
  const clients = new Map<string, Fetch>();
  for (const [name] of faults) clients.set(name, (await issue(gate, `key:${name}`)).client);
  const mend = [];
  for (const each of faults) mend.push(await fault(...each));
  const use = async (round: number) => {
    for (const [name, client] of clients) {
      await calls(client, "/a", "/a", "/b");
      await served(await post(gate, "/attempt", { request_id: `${name}-${round}`, account: `key:${name}`, endpoint: "/a", units: { token: 5 } }));
      assert.deepEqual(await billed(client), { calls: 4 * round, request: 4 * round, token: 5 * round }, name);
    }
  };
  await use(1);
  for (const name of ["later_total", "later_units"]) await reaches(`key:${name}`, { "/a": 3, "/b": 1, token: 5 });
  await use(2);
  await eventually("flushes have failed", async () => warned(/a fault for the test/) ? true : undefined);
  for (const name of ["first_row", "second_row", "units_row"]) {
    assert.deepEqual(await inLedger(`key:${name}`), {}, "a flush is a transaction");
  }
  for (const undo of mend) await undo();
  for (const [name, client] of clients) {
    await reaches(`key:${name}`, { "/a": 6, "/b": 2, token: 10 });
    assert.deepEqual(await billed(client), { calls: 8, request: 8, token: 10 });
  }
});

test("a flush of many rows that fails half-way is sent again, and nothing of its first half counts twice", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  // Rows go out in the order of their endpoints, a hundred in a transaction.
  const mend = await fault("second_half", "INSERT ON usage", `NEW.account = 'ip:${ip}' AND NEW.endpoint = '/e/99'`);
  await calls(client, ...ENDPOINTS);
  const half = await eventually("the first half is written", async () => {
    const found = Object.keys(await inLedger(`ip:${ip}`)).length;
    return found > 0 ? found : undefined;
  });
  assert.equal(half, 100);
  await calls(client, ...ENDPOINTS);
  assert.deepEqual(await billed(client), { calls: 240, request: 240 });
  await mend();
  await reaches(`ip:${ip}`, Object.fromEntries(ENDPOINTS.map((path) => [path, 2])));
});

test("the ledger is down for a while: no request fails or waits for it, and it gets everything afterwards", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await calls(client, "/a");
  await reaches(`ip:${ip}`, { "/a": 1 });
  await gate.ledger("ALTER TABLE usage RENAME TO usage_away");
  const before = gate.logs.length;
  for (let round = 0; round < 20; round += 1) {
    await calls(client, "/a", "/b", "/b");
    await sleep(100);
  }
  assert.ok(gate.logs.slice(before).some(({ message }) => /usage stays here and is sent again/.test(message)), "flushes have failed meanwhile");
  // A bill without what the ledger has would be none.
  await problem(await client("/_tollgate/usage"), 503, "ledger-unavailable");
  await gate.ledger("ALTER TABLE usage_away RENAME TO usage");
  await reaches(`ip:${ip}`, { "/a": 21, "/b": 40 });
  assert.deepEqual(await billed(client), { calls: 61, request: 61 });
});

test("the worker dies when some of a flush is written: the next life of the worker sends it again", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  const mend = await fault("dies", "INSERT ON usage", `NEW.account = 'ip:${ip}' AND NEW.endpoint = '/e/99'`);
  await calls(client, ...ENDPOINTS);
  await eventually("the first half is written", async () => Object.keys(await inLedger(`ip:${ip}`)).length === 100 ? true : undefined);
  await gate.kill();
  await gate.restart();
  await mend();
  await calls(client, "/e/0");
  await reaches(`ip:${ip}`, { ...Object.fromEntries(ENDPOINTS.map((path) => [path, 1])), "/e/0": 2 });
  assert.deepEqual(await billed(client), { calls: 121, request: 121 });
});

test("totals that arrive late or twice change nothing", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await calls(client, "/a", "/a");
  await reaches(`ip:${ip}`, { "/a": 2 });
  const [early] = await gate.ledger("SELECT * FROM usage WHERE account = ?", `ip:${ip}`);
  await calls(client, "/a");
  await reaches(`ip:${ip}`, { "/a": 3 });
  const values = ["account", "endpoint", "hour", "incarnation", "revision", "calls", "blocked", "payments", "paid", "overage_calls", "credits", "owed", "last_request"].map((name) => early![name]);
  await gate.ledger(putUsage(), ...values);
  await reaches(`ip:${ip}`, { "/a": 3 });
  assert.equal((await ordered(gate, "GET", `/usage?account=ip:${ip}`))["items"][0]["calls"], 3);
});
