// Days and months end under the built worker: its clock is moved over midnight and over the first of a month. What was full
// is free, what was used before stays readable, and the answers, the caller's bill, the owner's and the ledger agree on which
// day each request was.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, retryAfter, served, whole } from "./rig/answers.ts";
import type { BusyOrigin } from "./rig/busy_origin.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { DAY, MINUTE, attempt, end, startLimits } from "./rig/limits.ts";
import { issue, ordered } from "./rig/owner.ts";

let gate: Gate;
let origin: BusyOrigin;
/** What the gate's clock was last set to. */
let shown = Date.now();

before(async () => {
  ({ gate, origin } = await startLimits({
    platform: "moved_clock.js",
    settings: { flush_interval: "200ms" },
    plans: {
      free: {
        endpoints: {
          "/day": { quotas: [{ period: "day", limit: 3 }] },
          "/month": { quotas: [{ period: "month", limit: 5 }] },
          "/both": { quotas: [{ period: "day", limit: 3 }, { period: "month", limit: 8 }] },
          "/over": { quotas: [{ period: "day", limit: 2, over_quota: "overage", overage_price: "0.001" }] },
          "/told": { quotas: [{ period: "day", limit: 5, unit_type: "token", over_quota: "overage", overage_price: "0.002" }] },
          "/held": { quotas: [{ period: "day", limit: 2 }, { period: "day", limit: 100, unit_type: "token" }] },
        },
      },
      pro: { endpoints: { "/both": { quotas: [{ period: "day", limit: 5 }, { period: "month", limit: 8 }] } } },
    },
  }));
});

after(stopAll);

async function clock(to: number): Promise<void> {
  await gate.clock(to);
  shown = to;
}

/** The first of the next month that no test has seen; the clock stands ten minutes before it, or so many days earlier. */
async function beforeTurn(days = 0): Promise<number> {
  const then = new Date(shown + 2 * DAY);
  const turn = Date.UTC(then.getUTCFullYear(), then.getUTCMonth() + 1, 1);
  await clock(turn - days * DAY - 10 * MINUTE);
  return turn;
}

const iso = (at: number) => new Date(at).toISOString();

/** The caller's own bill of the day that starts then. */
async function dayOf(client: Fetch, start: number): Promise<Table> {
  return await (await served(await client(`/_tollgate/usage?from=${iso(start)}&to=${iso(start + DAY)}`))).json() as Table;
}

/** What of a bill's quotas was used, by endpoint, period and unit. */
function used(bill: Table): Table {
  const quotas = (bill["quotas"] as Table[]).filter((quota) => quota["used"] > 0);
  return Object.fromEntries(quotas.map(({ endpoint, period, unit, used }) => [`${endpoint} ${period} ${unit}`, used]));
}

/** Exactly so many requests pass; then the quota is full until that instant. */
async function passes(client: Fetch, path: string, count: number, until: number): Promise<void> {
  for (let nth = 0; nth < count; nth += 1) await served(await client(path));
  const denied = await client(path);
  assert.equal(whole(denied, "x-ratelimit-reset"), until / 1000);
  const wait = retryAfter(denied);
  assert.ok(wait > 0 && wait <= (until - shown) / 1000, `${wait}`);
  await problem(denied, 429, "quota-exceeded");
}

/** What the ledger's own rows say of an account, once they hold so many calls: by the start of the day. */
async function inLedger(account: string, calls: number): Promise<Map<number, Table>> {
  return await eventually(`the ledger has ${calls} calls of ${account}`, async () => {
    const rows = await gate.ledger(
      `SELECT hour / 86400 * 86400000 AS day, SUM(calls) AS calls, SUM(blocked) AS blocked, SUM(overage_calls) AS overage_calls,
       (SELECT COALESCE(SUM(overage), 0) FROM usage_units AS u WHERE u.account = usage.account AND u.hour / 86400 = usage.hour / 86400) AS overage,
       (SELECT COALESCE(SUM(CAST(charge AS INTEGER)), 0) FROM usage_units AS u WHERE u.account = usage.account AND u.hour / 86400 = usage.hour / 86400) AS charge
       FROM usage WHERE account = ? GROUP BY day`, account);
    const told = rows.reduce((sum, row) => sum + row["calls"], 0);
    return told === calls ? new Map(rows.map(({ day, ...row }) => [day, row])) : undefined;
  });
}

/** The lines of the owner's bill of an account, over all that the tests here are about. */
async function billed(account: string, group: string): Promise<Table[]> {
  return (await ordered(gate, "GET", `/usage?account=${account}&from=2020-01-01&to=${iso(shown + 2 * DAY)}&group_by=${group}`))["items"];
}

test("a day's quota is free after midnight, a month's on the first, and what was used before stays readable", async () => {
  const turn = await beforeTurn(1);
  const account = `ip:${freshAddress()}`;
  const client = gate.client(account.slice(3));
  await passes(client, "/day", 3, turn - DAY);
  await passes(client, "/month", 5, turn);
  await clock(turn - DAY + 1000);
  await passes(client, "/day", 3, turn);
  await passes(client, "/month", 0, turn);
  assert.deepEqual(used(await dayOf(client, turn - 2 * DAY)), { "/day day request": 3, "/month month request": 5 });
  await clock(turn - 10 * MINUTE);
  await passes(client, "/day", 0, turn);
  await clock(turn + 1000);
  await passes(client, "/day", 3, turn + DAY);
  const next = new Date(turn);
  await passes(client, "/month", 5, Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 1));
  const days = [turn - 2 * DAY, turn - DAY, turn];
  assert.deepEqual(used(await dayOf(client, days[1]!)), { "/day day request": 3, "/month month request": 5 });
  assert.deepEqual(used(await dayOf(client, days[2]!)), { "/day day request": 3, "/month month request": 5 });
  const rows = await inLedger(account, 19);
  assert.deepEqual(days.map((day) => [rows.get(day)?.["calls"], rows.get(day)?.["blocked"]]), [[8, 2], [3, 3], [8, 2]]);
  for (const day of days) assert.equal((await dayOf(client, day))["calls"], rows.get(day)!["calls"]);
  assert.deepEqual((await billed(account, "day")).map(({ day, calls }) => [Date.parse(day), calls]), [[days[0], 8], [days[1], 3], [days[2], 8]]);
  assert.deepEqual((await billed(account, "month")).map(({ month, calls }) => [month, calls]), [[iso(turn - DAY).slice(0, 7), 11], [iso(turn).slice(0, 7), 8]]);
});

test("what goes beyond a quota is charged in the period in which it was used", async () => {
  const turn = await beforeTurn();
  const account = `ip:${freshAddress()}`;
  const client = gate.client(account.slice(3));
  for (let nth = 0; nth < 5; nth += 1) await served(await client("/over"));
  await clock(turn + 1000);
  for (let nth = 0; nth < 3; nth += 1) await served(await client("/over"));
  const overages = [(await dayOf(client, turn - DAY))["overage"], (await dayOf(client, turn))["overage"]];
  assert.deepEqual(overages, [{ calls: 3, units: { request: 3 }, charge: "0.003" }, { calls: 1, units: { request: 1 }, charge: "0.001" }]);
  const rows = await inLedger(account, 8);
  assert.deepEqual([...rows.values()], [
    { calls: 5, blocked: 0, overage_calls: 3, overage: 3_000_000, charge: 3000 },
    { calls: 3, blocked: 0, overage_calls: 1, overage: 1_000_000, charge: 1000 },
  ]);
  assert.deepEqual(
    (await billed(account, "month")).map(({ calls, overage_quantity, overage_charge }) => [calls, overage_quantity, overage_charge]),
    [[5, 3, "0.003"], [3, 1, "0.001"]],
  );
});

test("a request that is in flight over midnight counts once, and units told at its end count when they are told", async () => {
  const turn = await beforeTurn();
  const account = `ip:${freshAddress()}`;
  const client = gate.client(account.slice(3));
  const answer = client("/held?stream=0&units=token%3D7");
  await origin.holds(1);
  await clock(turn + 1000);
  origin.answer();
  await (await served(await answer)).text();
  const today = await eventually("its units are counted", async () => {
    const bill = await dayOf(client, turn);
    return bill["units"]["token"] === 7 ? bill : undefined;
  });
  assert.deepEqual([today["calls"], used(today)], [0, { "/held day token": 7 }]);
  const yesterday = await dayOf(client, turn - DAY);
  assert.deepEqual([yesterday["calls"], yesterday["units"], used(yesterday)], [1, { request: 1 }, { "/held day request": 1 }]);
  await passes(client, "/held?units=token%3D1", 2, turn + DAY);
  const rows = await inLedger(account, 3);
  assert.deepEqual([rows.get(turn - DAY)?.["calls"], rows.get(turn)?.["calls"]], [1, 2]);
});

test("what a backend asks and ends over midnight counts once, beyond the quota of the day in which it was used", async () => {
  const turn = await beforeTurn();
  const { client } = await issue(gate, "told");
  const question = { request_id: "over-midnight", account: "key:told", endpoint: "/told", units: { token: 8 } };
  assert.ok((await attempt(gate, question))["allowed"]);
  await clock(turn + 1000);
  assert.ok((await attempt(gate, question))["allowed"], "the same question has the same answer");
  for (let nth = 0; nth < 2; nth += 1) await end(gate, { request_id: "over-midnight", units: { token: 4 } });
  const [yesterday, today] = [await dayOf(client, turn - DAY), await dayOf(client, turn)];
  assert.deepEqual([yesterday["calls"], yesterday["units"], used(yesterday)], [1, { request: 1, token: 8 }, { "/told day token": 8 }]);
  assert.deepEqual(yesterday["overage"], { calls: 1, units: { token: 3 }, charge: "0.006" });
  assert.deepEqual([today["calls"], today["units"], used(today)], [0, { request: 0, token: 4 }, { "/told day token": 4 }]);
  assert.deepEqual(today["overage"], { calls: 0, units: {}, charge: "0" });
  await inLedger("key:told", 1);
});

test("of requests that come in while the day ends, each day admits what it may, and each is in the ledger on its day", async () => {
  const turn = await beforeTurn();
  const account = `ip:${freshAddress()}`;
  const client = gate.client(account.slice(3));
  const one = async () => {
    const answer = await client("/day");
    await answer.arrayBuffer();
    return answer.status === 200 ? 1 : 0;
  };
  let admitted: number = await one();
  const some = () => Array.from({ length: 15 }, one);
  const answers = await Promise.all([...some(), clock(turn).then(() => 0), ...some()]);
  admitted += answers.reduce<number>((sum, passed) => sum + passed, 0);
  while (await one() === 1) admitted += 1;
  const rows = await inLedger(account, admitted);
  assert.equal(rows.get(turn)?.["calls"], 3);
  const old = rows.get(turn - DAY)!["calls"];
  assert.ok(old >= 1 && old <= 3 && old + 3 === admitted, `${old} of ${admitted}`);
  assert.deepEqual([(await dayOf(client, turn - DAY))["calls"], (await dayOf(client, turn))["calls"]], [old, 3]);
});

test("a change of plan within a period keeps what was used in it, and the next period starts anew", async () => {
  const turn = await beforeTurn(1);
  const { client } = await issue(gate, "mover");
  const plan = async (name: string | null) => await ordered(gate, "PUT", "/accounts/key%3Amover/plan", { name });
  await passes(client, "/both", 3, turn - DAY);
  await plan("pro");
  await passes(client, "/both", 2, turn - DAY);
  await clock(turn - DAY + 1000);
  await passes(client, "/both", 3, turn);
  await plan(null);
  await passes(client, "/both", 0, turn);
  await clock(turn + 1000);
  await passes(client, "/both", 3, turn + DAY);
  const rows = await inLedger("key:mover", 11);
  assert.deepEqual([turn - 2 * DAY, turn - DAY, turn].map((day) => rows.get(day)?.["calls"]), [5, 3, 3]);
});

test("more than 400 days later all of it is kept by the month, and no month's bill has changed", async () => {
  const wanted = `/usage?from=2020-01-01&to=${iso(shown + DAY)}&group_by=account,endpoint,unit,month&limit=1000`;
  const bill = async () => (await ordered(gate, "GET", wanted))["items"] as Table[];
  const before = await bill();
  assert.ok(before.length > 10);
  await clock(shown + 402 * DAY);
  // Denied requests may be told of late: their rows join their months with the next run.
  await eventually("all is kept by the month", async () => {
    await gate.daily();
    const kinds = await gate.ledger("SELECT DISTINCT incarnation FROM usage UNION SELECT DISTINCT incarnation FROM usage_units");
    return kinds.length === 1 && kinds[0]!["incarnation"] === "month" ? true : undefined;
  });
  assert.deepEqual(await bill(), before);
});
