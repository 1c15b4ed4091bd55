// The owner changes plans while the gate runs: what is in force at once, what is refused, and what nobody may lose.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, served, whole } from "./rig/answers.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";
import { issue, order, ordered } from "./rig/owner.ts";

let gate: Gate;

const limit = (count: number) => ({ endpoints: { "*": { fixed_windows: [{ window: "86400s", limit: count }] } } });

before(async () => {
  ({ gate } = await startLimits({ plans: { free: limit(3), pro: limit(30) } }));
});

after(stopAll);

async function limitOf(client: typeof fetch): Promise<number> {
  const response = await served(await client("/anything"));
  return whole(response, "x-ratelimit-limit");
}

test("the plans of the settings are there, under the names that accounts have them by", async () => {
  const { items } = await ordered(gate, "GET", "/plans");
  assert.deepEqual(items.map(({ name, is_default }: Table) => [name, is_default]), [["free", true], ["pro", false]]);
  assert.deepEqual((await ordered(gate, "GET", "/plans/pro"))["endpoints"], limit(30).endpoints);
  await problem(await order(gate, "GET", "/plans/gold"), 404, "not-found");
});

test("a plan that is put is in force for the next request, and a plan of the settings is replaced by it", async () => {
  const client = gate.client();
  assert.equal(await limitOf(client), 3);
  await ordered(gate, "PUT", "/plans/free", limit(5));
  const response = await served(await client("/anything"));
  assert.equal(whole(response, "x-ratelimit-limit"), 5);
  assert.equal(whole(response, "x-ratelimit-remaining"), 3, "what was used before counts");
  await ordered(gate, "PUT", "/plans/free", limit(3));
  assert.equal(await limitOf(client), 3);
});

test("a plan file is applied as one: YAML, TOML and JSON, and plans that it does not name stay", async () => {
  const yaml = "plans:\n  one:\n    endpoints:\n      \"*\": { bucket: { rpm: 60, burst: 1_0 } }\n  two: { endpoints: {} }\n";
  const toml = "[plans.three.endpoints.\"*\"]\nmax_concurrent = 1\n";
  for (const [body, type, names] of [
    [yaml, "application/yaml", ["one", "two"]],
    [toml, "application/toml", ["three"]],
    [JSON.stringify({ plans: { four: limit(1) } }), "application/json", ["four"]],
  ] as const) {
    const response = await order(gate, "PUT", "/plans", { body, headers: { "Content-Type": type } });
    const applied = await (await served(response)).json() as Table;
    assert.deepEqual(applied["applied"], names);
    assert.deepEqual(applied["removed"], []);
  }
  const { items } = await ordered(gate, "GET", "/plans");
  assert.deepEqual(items.map(({ name }: Table) => name), ["four", "free", "one", "pro", "three", "two"]);
  const replaced = await ordered(gate, "PUT", "/plans?replace=true", { plans: { free: limit(3), pro: limit(30) } });
  assert.deepEqual(replaced["removed"], ["four", "one", "three", "two"]);
});

test("a bad file changes nothing, and the problem names line, plan, endpoint and field", async () => {
  const before = await ordered(gate, "GET", "/plans");
  const body = "plans:\n  good: { endpoints: {} }\n  bad:\n    endpoints:\n      \"GET /cpu\":\n        bucket: { capacity: 0, refill_rate: 1 }\n        prize: \"1\"\n";
  const response = await order(gate, "PUT", "/plans", { body, headers: { "Content-Type": "application/yaml" } });
  const said = await problem(response, 400, "bad-request");
  assert.deepEqual(said["faults"].map(({ line, plan, endpoint, field }: Table) => ({ line, plan, endpoint, field })), [
    { line: 6, plan: "bad", endpoint: "GET /cpu", field: "bucket.capacity" },
    { line: 7, plan: "bad", endpoint: "GET /cpu", field: "prize" },
  ]);
  assert.match(said["detail"], /^line 6: plans\.bad\.endpoints\."GET \/cpu"\.bucket\.capacity: must be more than 0; line 7: /);
  assert.match(said["detail"], /did you mean `price`/);
  const alone = await order(gate, "PUT", "/plans/solo", { body: "endpoints:\n  /a: { cost: x }\n", headers: { "Content-Type": "text/yaml" } });
  assert.match((await problem(alone, 400, "bad-request"))["detail"], /^line 2: plans\.solo\.endpoints\."\/a"\.cost: /);
  const broken = await order(gate, "PUT", "/plans", { body: "plans:\n  a: [" });
  assert.match((await problem(broken, 400, "bad-request"))["detail"], /^line 1: .*application\/yaml/);
  assert.deepEqual(await ordered(gate, "GET", "/plans"), before);
});

test("the default plan cannot go, nor a plan that an account has; then it can", async () => {
  await ordered(gate, "PUT", "/plans/gold", limit(100));
  await issue(gate, "goldie", { plan: "gold" });
  const inUse = await problem(await order(gate, "DELETE", "/plans/gold"), 409, "plan-in-use");
  assert.deepEqual(inUse["accounts"], ["key:goldie"]);
  await problem(await order(gate, "DELETE", "/plans/free"), 409, "plan-in-use");
  const rest = { plans: { pro: limit(30), gold: limit(100) } };
  await problem(await order(gate, "PUT", "/plans?replace=true", { body: rest }), 409, "plan-in-use");
  await problem(await order(gate, "PUT", "/plans?replace=true", { body: { plans: { free: limit(3) } } }), 409, "plan-in-use");
  assert.equal((await ordered(gate, "GET", "/plans"))["items"].length, 3);
  await ordered(gate, "PUT", "/accounts/key%3Agoldie/plan", { name: "pro" });
  await ordered(gate, "DELETE", "/plans/gold", undefined, 204);
  await problem(await order(gate, "GET", "/plans/gold"), 404, "not-found");
  await problem(await order(gate, "DELETE", "/plans/gold"), 404, "not-found");
});

test("another plan becomes the default, at once, and the old one can go", async () => {
  const client = gate.client();
  assert.deepEqual(await ordered(gate, "GET", "/default-plan"), { name: "free" });
  await problem(await order(gate, "PUT", "/default-plan", { body: { name: "nope" } }), 404, "not-found");
  await ordered(gate, "PUT", "/default-plan", { name: "pro" });
  assert.equal(await limitOf(client), 30);
  await problem(await order(gate, "DELETE", "/plans/pro"), 409, "plan-in-use");
  await ordered(gate, "DELETE", "/plans/free", undefined, 204);
  await ordered(gate, "PUT", "/plans/free", limit(3));
  await ordered(gate, "PUT", "/default-plan", { name: "free" });
  assert.equal(await limitOf(client), 3);
});

test("of writers who saw the same plan one succeeds, and the others are told", async () => {
  await ordered(gate, "PUT", "/plans/raced", limit(1));
  const tag = (await order(gate, "GET", "/plans/raced")).headers.get("etag")!;
  const writes = [2, 3, 4, 5, 6].map(async (count) =>
    (await order(gate, "PUT", "/plans/raced", { body: limit(count), headers: { "If-Match": tag } })).status);
  assert.deepEqual((await Promise.all(writes)).sort(), [200, 412, 412, 412, 412]);
  await problem(await order(gate, "DELETE", "/plans/raced", { headers: { "If-Match": tag } }), 412, "precondition-failed");
  const fresh = (await order(gate, "GET", "/plans/raced")).headers.get("etag")!;
  assert.notEqual(fresh, tag);
  await problem(await order(gate, "PUT", "/plans/raced", { body: limit(1), headers: { "If-None-Match": "*" } }), 412, "precondition-failed");
  await problem(await order(gate, "PUT", "/plans/absent", { body: limit(1), headers: { "If-Match": "*" } }), 412, "precondition-failed");
  assert.equal((await order(gate, "DELETE", "/plans/raced", { headers: { "If-Match": fresh } })).status, 204);
});

test("writers of different plans do not lose each other's", async () => {
  const names = ["w1", "w2", "w3", "w4"];
  const statuses = await Promise.all(names.map(async (name) => (await order(gate, "PUT", `/plans/${name}`, { body: limit(1) })).status));
  assert.deepEqual(statuses, [200, 200, 200, 200]);
  const there = (await ordered(gate, "GET", "/plans"))["items"].map(({ name }: Table) => name);
  assert.deepEqual(names.filter((name) => !there.includes(name)), []);
});

test("what the owner set outlives the process", async () => {
  await ordered(gate, "PUT", "/plans/lasting", limit(77));
  const { client, key } = await issue(gate, "lasting", { plan: "lasting" });
  assert.equal(await limitOf(client), 77);
  await gate.stop();
  await gate.restart();
  const again = gate.client();
  const response = await served(await again("/anything", { headers: { "X-API-Key": key } }));
  assert.equal(whole(response, "x-ratelimit-limit"), 77);
  // The call before may have been in the last second, which a stop may take.
  assert.ok([75, 76].includes(whole(response, "x-ratelimit-remaining")));
});

test("a gate whose plans are all in the ledger says so until they are there", async () => {
  const { gate: empty } = await startLimits({ plans: {} });
  const client = empty.client();
  assert.match((await problem(await client("/x"), 500, "misconfigured"))["detail"], /no plan `free`/);
  await ordered(empty, "PUT", "/plans", { plans: { free: limit(4) } });
  assert.equal(await limitOf(client), 4);
});
