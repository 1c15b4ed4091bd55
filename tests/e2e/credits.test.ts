// Prepaid credits: granted, listed, expired, deducted and taken back by the owner, spent by requests.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, served } from "./rig/answers.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";
import { issue, order, ordered } from "./rig/owner.ts";

let gate: Gate;

before(async () => {
  ({ gate } = await startLimits({
    endpoints: {
      "/image": { credits: { request: 1, image: "0.5" } },
      "/degrade": { credits: { request: 1 }, over_limit: "degrade" },
    },
  }));
});

after(stopAll);

const path = (account: string, rest = "") => `/accounts/${encodeURIComponent(account)}/credits${rest}`;
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();

async function grant(account: string, amount: number | string, more: Table = {}): Promise<Table> {
  return await ordered(gate, "POST", path(account), { amount, ...more }, 201);
}

async function deduct(account: string, amount: number, require_full: boolean): Promise<Response> {
  return await order(gate, "POST", path(account, "/deduct"), { body: { amount, require_full } });
}

async function left(account: string): Promise<Table> {
  const { items } = await ordered(gate, "GET", path(account));
  return Object.fromEntries((items as Table[]).map(({ metadata, remaining }) => [metadata.name, remaining]));
}

async function usage(client: Fetch): Promise<Table> {
  return await (await served(await client("/_tollgate/usage"))).json() as Table;
}

test("what expires soonest is spent first, what never expires last, and what has expired not at all", async () => {
  const account = "key:four";
  const d = await grant(account, 500, { expires_at: inDays(-1), metadata: { name: "D" } });
  await grant(account, "30", { metadata: { name: "C" } });
  await grant(account, 50, { expires_at: inDays(2), metadata: { name: "B" } });
  await grant(account, 100, { expires_at: inDays(1), metadata: { name: "A" } });
  assert.deepEqual(Object.keys(d).sort(), ["amount", "created_at", "expires_at", "id", "metadata", "remaining"]);
  assert.equal((await ordered(gate, "GET", path(account)))["balance"], "180");
  assert.deepEqual(await (await served(await deduct(account, 120, true))).json(),
    { requested: "120", deducted: "120", remaining: "0", balance: "60" });
  assert.deepEqual(await left(account), { A: "0", B: "30", C: "30", D: "500" });
  assert.deepEqual(await (await served(await deduct(account, 100, false))).json(),
    { requested: "100", deducted: "60", remaining: "40", balance: "0" });
  assert.deepEqual(await left(account), { A: "0", B: "0", C: "0", D: "500" });
});

test("of 20 all-or-nothing deductions of 10 at once from 100 exactly 10 succeed", async () => {
  const { client } = await issue(gate, "twenty");
  await grant("key:twenty", 100);
  const answers = await Promise.all(Array.from({ length: 20 }, () => deduct("key:twenty", 10, true)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 10);
  const refused = answers.filter(({ status }) => status !== 200);
  const body = await problem(refused[0]!, 409, "insufficient-credits");
  assert.deepEqual([body["deducted"], body["remaining"], body["balance"]], ["0", "10", "0"]);
  assert.ok(refused.every(({ status }) => status === 409));
  assert.deepEqual((await usage(client))["credits"], { balance: "0", spent: "100" });
});

test("a request costs credits, and without them it is refused, or degraded where the plan says so", async () => {
  const { client } = await issue(gate, "spender");
  await problem(await client("/image"), 429, "insufficient-credits");
  await grant("key:spender", 2);
  const paid = await served(await client("/image"));
  assert.equal(paid.headers.get("cache-control"), "private", "no shared cache keeps what it was paid for");
  const limits = await (await served(await client("/_tollgate/limits?endpoint=/image"))).json() as Table;
  assert.equal(limits["credits"], "1");
  assert.equal((await served(await client("/degrade"))).headers.get("tollgate-degraded"), null);
  assert.equal((await served(await client("/degrade"))).headers.get("tollgate-degraded"), "true");
  const refused = await client("/image");
  assert.equal(refused.headers.has("retry-after"), false, "waiting does not help");
  await problem(refused, 429, "insufficient-credits");
  assert.deepEqual((await usage(client))["credits"], { balance: "0", spent: "2" });
});

test("credits come back when the origin fails the request, and are not on the bill", async () => {
  const { client } = await issue(gate, "unlucky");
  await grant("key:unlucky", 3);
  assert.equal((await client("/image?status=500")).status, 500);
  assert.equal((await client("/image?fail")).status, 502);
  await served(await client("/image"));
  assert.equal((await client("/image?status=404")).status, 404, "an answer is one");
  assert.deepEqual((await usage(client))["credits"], { balance: "1", spent: "2" });
});

test("what a request turns out to cost is a debt that the next block settles", async () => {
  const { client } = await issue(gate, "debtor");
  await grant("key:debtor", 2);
  await (await served(await client("/image?units=image%3D6"))).text();
  const { debt } = await eventually("the units have come", async () => {
    const book = await ordered(gate, "GET", path("key:debtor"));
    return book["debt"] === "0" ? undefined : book;
  });
  assert.equal(debt, "2");
  await problem(await client("/image"), 429, "insufficient-credits");
  assert.equal((await grant("key:debtor", 3))["remaining"], "1");
  await served(await client("/image"));
  assert.deepEqual((await usage(client))["credits"], { balance: "0", spent: "5" });
});

test("20 requests at once spend what there is and no more, also when the gate was killed before", async () => {
  const { client } = await issue(gate, "crowd");
  await grant("key:crowd", 7);
  await gate.kill();
  await gate.restart();
  const answers = await Promise.all(Array.from({ length: 20 }, () => client("/image")));
  assert.equal(answers.filter(({ status }) => status === 200).length, 7);
});

test("an order that is sent again with its Idempotency-Key is done once", async () => {
  const send = async (rest: string, body: Table) =>
    await order(gate, "POST", path("key:again", rest), { body, headers: { "Idempotency-Key": `k${rest}` } });
  const first = await (await send("", { amount: 100, metadata: { order: 1 } })).json() as Table;
  const again = await send("", { amount: 100, metadata: { order: 1 } });
  assert.equal(again.status, 201);
  assert.deepEqual(await again.json(), first);
  const cut = await (await send("/deduct", { amount: 30 })).json();
  assert.deepEqual(await (await send("/deduct", { amount: 30 })).json(), cut);
  assert.equal((await ordered(gate, "GET", path("key:again")))["balance"], "70");
  await problem(await send("", { amount: 101 }), 422, "idempotency-key-used");
  await problem(await order(gate, "POST", path("key:again"), { body: { amount: 1 }, headers: { "Idempotency-Key": "x".repeat(256) } }), 400, "bad-request");
});

test("blocks are taken back and expired, and all of it is in the audit table", async () => {
  const account = "wallet:0x14791697260E4c9A71f18484C9f997B308e59325".toLowerCase();
  const { id } = await grant(account, 10);
  await grant(account, 20);
  await ordered(gate, "DELETE", path(account, `/${id}`), undefined, 204);
  await problem(await order(gate, "DELETE", path(account, `/${id}`)), 404, "not-found");
  assert.equal((await ordered(gate, "GET", path(account)))["balance"], "20");
  assert.deepEqual(await ordered(gate, "POST", path(account, "/expire")), { expired: 1, balance: "0" });
  assert.equal((await ordered(gate, "GET", path(account)))["balance"], "0");
  await ordered(gate, "POST", path(account, "/deduct"), { amount: 1 });
  const rows = await gate.ledger("SELECT what FROM audit WHERE subject = ? ORDER BY id", account);
  assert.deepEqual(rows.map(({ what }) => what), ["credits.grant", "credits.grant", "credits.delete", "credits.expire", "credits.deduct"]);
  const listed = await ordered(gate, "GET", "/accounts?limit=1000");
  assert.ok(listed["items"].some((item: Table) => item["account"] === account));
});

test("the list is paged", async () => {
  for (let nth = 1; nth <= 3; nth += 1) await grant("key:pages", nth);
  const one = await ordered(gate, "GET", path("key:pages", "?limit=2"));
  const two = await ordered(gate, "GET", path("key:pages", `?limit=2&cursor=${one["next_cursor"]}`));
  const amounts = [...one["items"], ...two["items"]].map(({ amount }: Table) => amount);
  assert.deepEqual([amounts.sort(), two["next_cursor"]], [["1", "2", "3"], null]);
});

test("what cannot be read is said", async () => {
  for (const [body, said] of [
    [{}, /body\.amount: is missing/],
    [{ amount: 0 }, /body\.amount: must be more than 0/],
    [{ amount: -1 }, /body\.amount: `-1` is not a number/],
    [{ amount: 1, expires_at: "soon" }, /body\.expires_at: `soon` is not a time/],
    [{ amount: 1, metadata: "x".repeat(1001) }, /body\.metadata: must be at most 1000 bytes/],
    [{ amount: 1, note: 1 }, /body\.note: is not a setting/],
  ] as const) {
    const { detail } = await problem(await order(gate, "POST", path("key:bad"), { body }), 400, "bad-request");
    assert.match(detail, said);
  }
  assert.deepEqual((await ordered(gate, "GET", path("key:bad")))["items"], []);
});
