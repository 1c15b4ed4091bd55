// What owners read off the ledger: bills grouped as they like, exact to the atomic unit, as JSON and as CSV; what all clients
// did, and who did most; and old hours kept by the month without a change of any bill.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exactly, problem, served } from "./rig/answers.ts";
import { payingV2 } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN, DAY, HOUR } from "./rig/limits.ts";
import { order, ordered } from "./rig/owner.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate({ secrets: { ADMIN_TOKEN }, settings: { usage_retention: "400d" } });
});

after(async () => await world.stop());

/** A line of usage as an account's object writes it. */
interface Written {
  account: string;
  endpoint?: string;
  hour: string;
  incarnation?: string;
  calls?: number;
  blocked?: number;
  payments?: number;
  paid?: string;
  credits?: number;
  owed?: string;
}

async function write({ account, endpoint = "*", hour, incarnation = "0123456789abcdef", calls = 0, blocked = 0, payments = 0, paid = "0", credits = 0, owed = "0" }: Written): Promise<void> {
  await gate.ledger(
    "INSERT INTO usage (account, endpoint, hour, incarnation, revision, calls, blocked, payments, paid, credits, owed) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)",
    account, endpoint, Date.parse(hour) / 1000, incarnation, calls, blocked, payments, paid, credits, owed,
  );
}

async function writeUnits(account: string, hour: string, unit: string, quantity: number, overage = 0, charge = "0", endpoint = "*", incarnation = "0123456789abcdef"): Promise<void> {
  await gate.ledger(
    "INSERT INTO usage_units (account, endpoint, hour, incarnation, unit, revision, quantity, overage, charge) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)",
    account, endpoint, Date.parse(hour) / 1000, incarnation, unit, quantity, overage, charge,
  );
}

async function items(query: string): Promise<Table[]> {
  return (await ordered(gate, "GET", `/usage?${query}`))["items"];
}

const NOTHING = { calls: 0, quantity: 0, overage_quantity: 0, overage_charge: "0", paid: "0", credits: "0", owed: "0" };

test("what a client did and paid is on the owner's bill, equal to the client's own", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await exactly(client, 4);
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  const own = await (await served(await client("/_tollgate/usage"))).json() as Table;
  assert.deepEqual([own["calls"], own["paid"]], [5, { count: 1, amount: "0.001" }]);
  const line = await eventually("the owner sees it", async () => {
    const [found] = await items(`account=ip:${ip}`);
    return found?.["calls"] === 5 ? found : undefined;
  });
  assert.deepEqual(line, { ...NOTHING, account: `ip:${ip}`, calls: 5, quantity: 5, paid: "0.001" });
  const [top] = (await ordered(gate, "GET", "/top?n=1000") as unknown as Table[]).filter(({ client }) => client === `ip:${ip}`);
  const { last_request, ...counts } = top!;
  // Denied: the fifth and the sixth request; the payment that the sixth was answered with let the seventh pass.
  assert.deepEqual(counts, { client: `ip:${ip}`, request_count: 5, blocked_count: 2, total_requests: 7 });
  assert.match(last_request, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.ok(Math.abs(Date.parse(last_request) - Date.now()) < 60_000);
  const stats = await ordered(gate, "GET", "/stats");
  assert.deepEqual({ ...stats, by_hour: [] }, { total_requests: 7, total_blocked: 2, total_paid: 1, revenue: "0.001", active_clients: 1, by_hour: [] });
  assert.equal(stats["by_hour"].reduce((sum: number, { requests }: Table) => sum + requests, 0), 7);
});

test("a call that is paid for by itself is one request, and so is each 402 before it", async () => {
  const each = await world.gate({
    plans: { free: { endpoints: { "/premium": { payment: "always", price: "0.01" } } } },
    secrets: { ADMIN_TOKEN },
  });
  const ip = freshAddress();
  await served(await payingV2(each.client(ip), await world.chain.wallet())(each.at("/premium")));
  const [top] = await eventually("the ledger has it", async () => {
    const found = await ordered(each, "GET", "/top") as unknown as Table[];
    const [line] = (await ordered(each, "GET", "/usage"))["items"] as Table[];
    return found[0]?.["request_count"] === 1 && line?.["paid"] === "0.01" ? found : undefined;
  });
  assert.deepEqual({ ...top, last_request: "" }, { client: `ip:${ip}`, request_count: 1, blocked_count: 1, total_requests: 2, last_request: "" });
  await each.stop();
});

test("a bill is grouped by whatever columns are named, in their order, and every grouping adds up to the same", async () => {
  const account = "key:grouped";
  await write({ account, endpoint: "GET /a", hour: "2026-03-01T10:00:00Z", calls: 3, payments: 1, paid: "1000", credits: 1_500_000, owed: "250000" });
  await write({ account, endpoint: "GET /a", hour: "2026-03-01T11:00:00Z", calls: 4 });
  await write({ account, endpoint: "GET /a", hour: "2026-03-01T11:00:00Z", incarnation: "fedcba9876543210", calls: 5 });
  await write({ account, endpoint: "POST /b", hour: "2026-04-02T00:00:00Z", calls: 6 });
  await writeUnits(account, "2026-03-01T10:00:00Z", "token", 28_500_000, 0, "0", "GET /a");
  await writeUnits(account, "2026-04-02T00:00:00Z", "request", 0, 2_000_000, "4000", "POST /b");
  const during = `account=${account}&from=2026-03-01&to=2026-05-01`;
  assert.deepEqual(await items(`${during}&group_by=endpoint,hour`), [
    { ...NOTHING, endpoint: "GET /a", hour: "2026-03-01T10:00:00Z", calls: 3, quantity: 31.5, paid: "0.001", credits: "1.5", owed: "0.25" },
    { ...NOTHING, endpoint: "GET /a", hour: "2026-03-01T11:00:00Z", calls: 9, quantity: 9 },
    { ...NOTHING, endpoint: "POST /b", hour: "2026-04-02T00:00:00Z", calls: 6, quantity: 6, overage_quantity: 2, overage_charge: "0.004" },
  ]);
  assert.deepEqual(await items(`${during}&group_by=day,account`), [
    { ...NOTHING, day: "2026-03-01", account, calls: 12, quantity: 40.5, paid: "0.001", credits: "1.5", owed: "0.25" },
    { ...NOTHING, day: "2026-04-02", account, calls: 6, quantity: 6, overage_quantity: 2, overage_charge: "0.004" },
  ]);
  assert.deepEqual(await items(`${during}&group_by=unit`), [
    { ...NOTHING, unit: "request", calls: 18, quantity: 18, overage_quantity: 2, overage_charge: "0.004", paid: "0.001", credits: "1.5", owed: "0.25" },
    { ...NOTHING, unit: "token", quantity: 28.5 },
  ]);
  assert.deepEqual((await items(`${during}&group_by=month`)).map(({ month, calls }) => [month, calls]), [["2026-03", 12], ["2026-04", 6]]);
  assert.deepEqual((await items(`account=${account}&from=2026-03-01T11:00:00Z&to=2026-03-02`)).map(({ calls }) => calls), [9]);
});

test("CSV has the columns of the contract, and money that no float could hold is exact", async () => {
  const account = "key:rich";
  const most = (2n ** 128n - 2n).toString();
  await write({ account, endpoint: "GET /a,\"b\"", hour: "2026-03-01T10:00:00Z", calls: 1, payments: 1, paid: most });
  await write({ account, endpoint: "GET /a,\"b\"", hour: "2026-03-01T11:00:00Z", calls: 1, payments: 1, paid: "1", owed: "9007199254740993" });
  await writeUnits(account, "2026-03-01T10:00:00Z", "image", 9_007_199_254_740_991, 1, "99999999999", "GET /a,\"b\"");
  const response = await order(gate, "GET", `/usage?account=${account}&from=2026-03-01&to=2026-04-01&group_by=endpoint,day`, { headers: { Accept: "text/csv" } });
  assert.match((await served(response)).headers.get("content-type") ?? "", /^text\/csv/);
  assert.equal(await response.text(), [
    "endpoint,day,calls,quantity,overage_quantity,overage_charge,paid,credits,owed",
    `"GET /a,""b""",2026-03-01,2,9007199256.740991,0.000001,99999.999999,340282366920938463463374607431768.211455,0,9007199254.740993`,
    "",
  ].join("\r\n"));
});

test("a bill is read page by page, and as CSV all at once", async () => {
  for (let nth = 0; nth < 7; nth += 1) await write({ account: `key:page-${nth}`, hour: "2025-12-31T23:00:00Z", calls: nth + 1 });
  const during = "from=2025-12-31&to=2026-01-01";
  const seen: Table[] = [];
  let cursor = "";
  do {
    const page = await ordered(gate, "GET", `/usage?${during}&group_by=account,hour&limit=3${cursor}`);
    assert.ok(page["items"].length <= 3);
    seen.push(...page["items"]);
    cursor = page["next_cursor"] === null ? "" : `&cursor=${page["next_cursor"]}`;
  } while (cursor !== "");
  assert.deepEqual(seen.map(({ account, calls }) => [account, calls]), Array.from({ length: 7 }, (_, nth) => [`key:page-${nth}`, nth + 1]));
  const csv = await (await order(gate, "GET", `/usage?${during}`, { headers: { Accept: "text/csv" } })).text();
  assert.equal(csv.trimEnd().split("\r\n").length, 8);
});

test("what cannot be asked is said", async () => {
  for (const [path, detail] of [
    ["/usage?group_by=week", "`group_by=week`: `week` is none of account, endpoint, unit, hour, day, month; separate them by commas"],
    ["/usage?from=soon", "`from=soon` is not a time; write RFC 3339 in UTC, such as 2026-01-06T10:00:00Z or 2026-01-06"],
    ["/top?n=0", "`n=0` is not a whole number from 1 to 1000"],
    ["/stats?to=2026-13-01", "`to=2026-13-01` is not a time; write RFC 3339 in UTC, such as 2026-01-06T10:00:00Z or 2026-01-06"],
  ] as const) {
    assert.equal((await problem(await order(gate, "GET", path), 400, "bad-request"))["detail"], detail);
  }
  await problem(await order(gate, "GET", "/usage", { token: "not-the-admin-token" }), 401, "unauthorized");
});

test("hours older than the retention are kept by the month, and no bill over months changes", async () => {
  const account = "key:old";
  const long = (days: number) => new Date(Math.floor((Date.now() - days * DAY) / HOUR) * HOUR).toISOString();
  const hours = [405, 404.5, 440, 470, 399].map(long);
  const huge = (10n ** 37n).toString();
  for (const [nth, hour] of hours.entries()) {
    await write({ account, endpoint: "GET /a", hour, calls: nth + 1, blocked: 1, payments: 1, paid: huge, credits: 500_000, owed: "7" });
    await writeUnits(account, hour, "token", 1_500_000, 500_000, "3", "GET /a");
  }
  const bill = async () => await items(`account=${account}&from=2024-01-01&group_by=account,endpoint,unit,month`);
  const own = async () => (await gate.ledger("SELECT COUNT(*) AS rows, SUM(blocked) AS blocked FROM usage WHERE account = ?", account))[0]!;
  const before = await bill();
  assert.equal((await own())["rows"], 5);
  await gate.daily();
  assert.deepEqual(await bill(), before);
  const months = new Set(hours.slice(0, 4).map((hour) => hour.slice(0, 7))).size;
  assert.deepEqual({ ...await own() }, { rows: months + 1, blocked: 5 });
  // A row that comes late joins its month, and another run changes nothing.
  await write({ account, endpoint: "GET /a", hour: hours[0]!, incarnation: "late", calls: 10, paid: "1" });
  const late = await bill();
  await gate.daily();
  await gate.daily();
  assert.deepEqual(await bill(), late);
  assert.deepEqual((await own())["rows"], months + 1);
  assert.notDeepEqual(late, before);
  const [young] = await gate.ledger("SELECT COUNT(*) AS rows FROM usage WHERE account = ? AND incarnation <> 'month'", account);
  assert.equal(young!["rows"], 1, "what is younger stays by the hour");
});

test("another plan of the same gate is untouched by the daily run when the retention is long", async () => {
  const other = await world.gate({ plans: bucketPlan(), secrets: { ADMIN_TOKEN }, settings: { usage_retention: "36500d" } });
  await other.ledger("INSERT INTO usage (account, endpoint, hour, incarnation, calls, payments, paid) VALUES ('key:a', '*', 3600, 'x', 1, 0, '0')");
  await other.daily();
  const rows = await other.ledger("SELECT incarnation FROM usage");
  assert.deepEqual(rows.map(({ incarnation }) => incarnation), ["x"]);
  await other.stop();
});
