// Keys and accounts: made and revoked by the owner, found on the request path, in force at once.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { problem, served, whole } from "./rig/answers.ts";
import { eventually } from "./rig/eventually.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { ADMIN_TOKEN, post, startLimits } from "./rig/limits.ts";
import { bearing, issue, order, ordered } from "./rig/owner.ts";

let gate: Gate;

const limit = (count: number) => ({ endpoints: { "*": { fixed_windows: [{ window: "86400s", limit: count }] } } });

before(async () => {
  ({ gate } = await startLimits({ plans: { free: limit(200), pro: limit(1000) } }));
});

after(stopAll);

test("a key is shown once, and stored only as its hash", async () => {
  const made = await ordered(gate, "POST", "/keys", { account: "acme", label: "ci", scopes: ["decide"] }, 201);
  assert.deepEqual(Object.keys(made).sort(), ["account", "id", "key", "label", "scopes"]);
  assert.match(made["key"], /^tg_live_[0-9A-Za-z]{49}$/);
  assert.deepEqual([made["account"], made["label"], made["scopes"]], ["acme", "ci", ["decide"]]);
  const listed = await ordered(gate, "GET", "/keys");
  const item = listed["items"].find(({ id }: Table) => id === made["id"]);
  assert.deepEqual([item.account, item.label, item.scopes, item.revoked_at], ["acme", "ci", ["decide"], null]);
  const rows = await gate.ledger("SELECT * FROM keys WHERE id = ?", made["id"]);
  assert.equal(rows[0]!["hash"], createHash("sha256").update(made["key"]).digest("hex"));
  for (const text of [JSON.stringify(listed), JSON.stringify(rows), JSON.stringify(await gate.ledger("SELECT * FROM audit"))]) {
    assert.equal(text.includes(made["key"].slice(8)), false);
  }
});

test("several keys of an account share its limits, whichever header brings them", async () => {
  const one = await issue(gate, "shared");
  const two = await issue(gate, "shared");
  assert.equal(whole(await served(await one.client("/x")), "x-ratelimit-remaining"), 199);
  const other = await served(await gate.client()("/x", { headers: { "X-API-Key": two.key } }));
  assert.equal(whole(other, "x-ratelimit-remaining"), 198);
  const usage = await (await served(await two.client("/_tollgate/usage"))).json() as Table;
  assert.deepEqual([usage["account"], usage["calls"]], ["key:shared", 2]);
});

test("a key that nobody issued is 401, mistyped or not; and anonymous where the settings say so", async () => {
  const { key } = await issue(gate, "typo");
  const last = key.at(-1) === "0" ? "1" : "0";
  for (const wrong of [key.slice(0, -1) + last, "tg_live_x", `tg_live_${"0".repeat(49)}`, "tg_test_1"]) {
    await problem(await bearing(gate.client(), wrong)("/x"), 401, "unknown-key");
  }
  const { gate: tolerant } = await startLimits({ plans: { free: limit(9) }, settings: { unknown_keys: "ip" } });
  const client = tolerant.client();
  await served(await bearing(client, "tg_live_x")("/x"));
  assert.equal(whole(await served(await client("/x")), "x-ratelimit-remaining"), 7);
  const revoked = await issue(tolerant, "gone");
  await served(await bearing(client, revoked.key)("/x"));
  await ordered(tolerant, "DELETE", `/keys/${revoked.id}`, undefined, 204);
  assert.equal(whole(await served(await bearing(client, revoked.key)("/x")), "x-ratelimit-remaining"), 6);
});

test("a revoked key admits nothing once the revocation is answered, with 100 requests in flight", async () => {
  const { id, client } = await issue(gate, "revoked");
  await served(await client("/x"));
  let revokedAt = Infinity;
  const requests = Array.from({ length: 100 }, async (_, index) => {
    const started = performance.now();
    const response = await client("/x");
    await response.text();
    return { index, started, status: response.status };
  });
  const revoking = order(gate, "DELETE", `/keys/${id}`).then((response) => {
    revokedAt = performance.now();
    return response.status;
  });
  const late = Array.from({ length: 100 }, async () => {
    await revoking;
    const started = performance.now();
    return { started, status: (await client("/x")).status };
  });
  const all = [...await Promise.all(requests), ...await Promise.all(late)];
  assert.equal(await revoking, 204);
  for (const { started, status } of all) {
    assert.ok(status === 401 || (status === 200 && started < revokedAt), `${status}`);
  }
  assert.equal(all.filter(({ started }) => started > revokedAt).length, 100);
  const usage = await ordered(gate, "GET", "/accounts/key%3Arevoked");
  assert.equal(usage["endpoints"][0].limits[0].remaining, 199 - requests.length + all.slice(0, 100).filter(({ status }) => status === 401).length);
  assert.ok(usage["keys"][0].revoked_at);
  assert.equal((await order(gate, "DELETE", `/keys/${id}`)).status, 204, "again is the same");
  await problem(await order(gate, "DELETE", "/keys/key_0"), 404, "not-found");
});

test("an account gets a plan, at once, and the default again", async () => {
  const { client } = await issue(gate, "planned");
  const limitNow = async () => whole(await served(await client("/x")), "x-ratelimit-limit");
  assert.equal(await limitNow(), 200);
  assert.equal((await ordered(gate, "PUT", "/accounts/key%3Aplanned/plan", { name: "pro" }))["plan"], "pro");
  assert.equal(await limitNow(), 1000);
  const account = await ordered(gate, "GET", "/accounts/key%3Aplanned");
  assert.deepEqual([account["account"], account["plan"], account["own_plan"]], ["key:planned", "pro", "pro"]);
  assert.equal((await ordered(gate, "PUT", "/accounts/key%3Aplanned/plan", { name: null }))["plan"], "free");
  assert.equal(await limitNow(), 200);
  await problem(await order(gate, "PUT", "/accounts/key%3Aplanned/plan", { body: { name: "nope" } }), 404, "not-found");
  await problem(await order(gate, "PUT", "/accounts/key%3Aplanned/plan", { body: {} }), 400, "bad-request");
  await problem(await order(gate, "GET", "/accounts/nobody"), 400, "bad-request");
});

test("an address can have a plan, too, though its id has a slash", async () => {
  const client = gate.client("2001:db8:7:7::9");
  const id = encodeURIComponent("ip:2001:db8:7:7::/64");
  await ordered(gate, "PUT", `/accounts/${id}/plan`, { name: "pro" });
  assert.equal(whole(await served(await client("/x")), "x-ratelimit-limit"), 1000);
});

test("no request reads the ledger to find its key and plan", async () => {
  const { gate: apart } = await startLimits({ plans: { free: limit(200), pro: limit(1000) } });
  const { key } = await issue(apart, "acme", { plan: "pro" });
  for (const table of ["plans", "plan_versions", "keys", "accounts"]) await apart.ledger(`ALTER TABLE ${table} RENAME TO no_${table}`);
  // A new process remembers nothing.
  await apart.stop();
  await apart.restart();
  assert.equal(whole(await served(await bearing(apart.client(), key)("/x")), "x-ratelimit-limit"), 1000);
  assert.equal((await order(apart, "GET", "/keys")).status, 503, "the ledger is not there");
});

test("a key with the scope asks for decisions, one without does not", async () => {
  const may = await issue(gate, "backend", { scopes: ["decide"] });
  const mayNot = await issue(gate, "frontend");
  const question = { request_id: "scope-1", account: "key:customer", endpoint: "/x" };
  const decided = await (await served(await post(gate, "/attempt", question, may.key))).json() as Table;
  assert.equal(decided["allowed"], true);
  await problem(await post(gate, "/attempt", question, mayNot.key), 401, "unauthorized");
  await ordered(gate, "DELETE", `/keys/${may.id}`, undefined, 204);
  await problem(await post(gate, "/attempt", question, may.key), 401, "unknown-key");
});

test("the last use of a key reaches the ledger, to the minute", async () => {
  const { id, client } = await issue(gate, "used");
  assert.equal((await ordered(gate, "GET", `/keys/${id}`))["last_used_at"], null);
  const before = Date.now();
  await served(await client("/x"));
  const used = await eventually("the last use is in the ledger", async () =>
    (await ordered(gate, "GET", `/keys/${id}`))["last_used_at"] ?? undefined);
  assert.match(used, /:00(\.000)?Z$/);
  assert.ok(Math.abs(Date.parse(used) - before) <= 60_000);
});

test("lists come page by page, and a last page that is full leads to no empty one", async () => {
  for (const nth of [1, 2, 3]) await issue(gate, `page-${nth}`);
  await order(gate, "PUT", "/plans", { body: { plans: { "page-a": { endpoints: {} }, "page-b": { endpoints: {} } } } });
  for (const path of ["/keys", "/accounts", "/plans", "/audit", "/usage?group_by=account"]) {
    const and = path.includes("?") ? "&" : "?";
    const { items: all, next_cursor } = await ordered(gate, "GET", `${path}${and}limit=1000`);
    assert.ok(all.length >= 1, path);
    assert.equal(next_cursor, null);
    let cursor: string | null = null;
    for (const item of all) {
      const page: Table = await ordered(gate, "GET", `${path}${and}limit=1${cursor === null ? "" : `&cursor=${cursor}`}`);
      assert.deepEqual(page["items"], [item], path);
      cursor = page["next_cursor"];
    }
    assert.equal(cursor, null, path);
    assert.equal((await ordered(gate, "GET", `${path}${and}limit=${all.length}`))["next_cursor"], null, path);
  }
});

test("a list is read to its end by its cursors", async () => {
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Table = await ordered(gate, "GET", `/keys?limit=2${cursor === null ? "" : `&cursor=${cursor}`}`);
    assert.ok(page["items"].length <= 2);
    seen.push(...page["items"].map(({ id }: Table) => id));
    cursor = page["next_cursor"];
  } while (cursor !== null);
  const [{ count }] = await gate.ledger("SELECT COUNT(*) AS count FROM keys") as [Table];
  assert.deepEqual([seen.length, new Set(seen).size], [count, count]);
  await problem(await order(gate, "GET", "/keys?limit=0"), 400, "bad-request");
  await problem(await order(gate, "GET", "/keys?cursor=x"), 400, "bad-request");
});

test("without the token nothing is told, and who tries many waits", async () => {
  const client = gate.client();
  const untold = await order(gate, "GET", "/plans", { token: null, client });
  assert.equal(untold.headers.get("www-authenticate"), "Bearer");
  await problem(untold, 401, "unauthorized");
  const statuses: number[] = [];
  for (let nth = 0; nth < 12; nth += 1) {
    statuses.push((await order(gate, "GET", "/plans", { token: `wrong-token-number-${nth}`, client })).status);
  }
  assert.deepEqual(statuses, [...Array(10).fill(401), 429, 429]);
  const limited = await order(gate, "GET", "/plans", { client });
  assert.ok(whole(limited, "retry-after") >= 1);
  await problem(limited, 429, "too-many-failures");
  assert.equal((await order(gate, "GET", "/plans")).status, 200, "others are not kept waiting");
});

test("without an admin token configured there is no admin API", async () => {
  const { gate: bare } = await startLimits({ plans: { free: limit(1) }, secrets: { ADMIN_TOKEN: undefined } });
  await problem(await order(bare, "GET", "/plans"), 404, "unknown-endpoint");
  await problem(await order(bare, "GET", "/plans", { token: null }), 404, "unknown-endpoint");
});

test("every change is in the audit table: who, what, when", async () => {
  const { id } = await issue(gate, "audited", { plan: "pro" });
  await ordered(gate, "DELETE", `/keys/${id}`, undefined, 204);
  const who = `admin:${createHash("sha256").update(ADMIN_TOKEN).digest("hex").slice(0, 8)}`;
  const { items } = await ordered(gate, "GET", "/audit?limit=3");
  assert.deepEqual(items.map(({ what, subject }: Table) => [what, subject]), [
    ["key.revoke", id], ["key.create", id], ["account.plan", "key:audited"],
  ]);
  for (const { who: doer, at } of items) {
    assert.equal(doer, who);
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
  }
});

test("what cannot be read says what and where", async () => {
  const said = async (body: unknown) => (await problem(await order(gate, "POST", "/keys", { body }), 400, "bad-request"))["detail"];
  assert.match(await said("{"), /the body is not JSON/);
  assert.match(await said({ label: "x" }), /body\.account: is missing/);
  assert.match(await said({ account: "a", scopes: ["fly"] }), /body\.scopes: `fly` is not a scope/);
  assert.match(await said({ account: "a", lable: "x" }), /did you mean `label`/);
  await problem(await order(gate, "POST", "/keys", { body: { account: "a", plan: "nope" } }), 404, "not-found");
  const wrong = await order(gate, "PATCH", "/keys");
  assert.equal(wrong.headers.get("allow"), "GET, HEAD, POST");
  await problem(wrong, 405, "method-not-allowed");
  await problem(await order(gate, "GET", "/nothing"), 404, "unknown-endpoint");
});
