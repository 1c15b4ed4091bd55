// The gate's own endpoints, under its prefix: they answer for the gate, cost nothing, and never reach the origin.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exactly, poor, problem, served } from "./rig/answers.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate();
});

after(async () => await world.stop());

test("/health says what answers", async () => {
  const { version, ...rest } = await (await served(await gate.client()("/_tollgate/health"))).json() as Table;
  assert.deepEqual(rest, { status: "ok", service: "tollgate" });
  assert.match(version, /^\d+\.\d+\.\d+/);
});

test("/limits says what is left, and takes nothing", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await served(await client("/cpu"));
  for (let look = 0; look < 3; look += 1) {
    const limits = await (await served(await client("/_tollgate/limits?endpoint=/cpu"))).json() as Table;
    assert.equal(limits["client"], `ip:${ip}`);
    assert.equal(limits["plan"], "free");
    assert.equal(limits["capacity"], 4);
    assert.ok(limits["tokens"] >= 3 && limits["tokens"] < 3.1, `${limits["tokens"]}`);
    const [bucket] = limits["limits"];
    assert.equal(bucket.unit, "request");
    assert.equal(bucket.limit, 4);
    assert.equal(Math.floor(bucket.remaining), 3);
    assert.ok(bucket.reset_after > 900 && bucket.reset_after <= 1000, `${bucket.reset_after}`);
  }
  await exactly(client, 3);
});

test("/limits without an endpoint tells all of the plan's, and one that is not there is a 404", async () => {
  const client = gate.client();
  const all = await (await served(await client("/_tollgate/limits"))).json();
  assert.match(JSON.stringify(all), /"\*"/);
  const listed = await world.gate({ plans: { free: { name: "Free", endpoints: { "GET /cpu": { bucket: { capacity: 4, refill_rate: 1 } } } } } });
  await problem(await listed.client()("/_tollgate/limits?endpoint=/secret"), 404, "unknown-endpoint");
  await listed.stop();
});

test("what is not an endpoint of the gate is a 404 and does not reach the origin", async () => {
  const before = world.origin.seen.length;
  for (const path of ["/_tollgate/nonsense", "/_tollgate/", "/_tollgate", "/_tollgate/health/more"]) {
    const response = await gate.client()(path);
    assert.equal(response.status, 404, path);
  }
  await problem(await gate.client()("/_tollgate/nonsense"), 404, "unknown-endpoint");
  assert.equal(world.origin.seen.length, before);
});

test("a method that an endpoint has not is told those that it has", async () => {
  const response = await gate.client()("/_tollgate/limits", { method: "DELETE" });
  assert.equal(response.headers.get("allow"), "GET, HEAD");
  assert.match((await problem(response, 405, "method-not-allowed"))["detail"], /^\/limits takes GET, HEAD, not DELETE$/);
  assert.equal((await gate.client()("/_tollgate/limits", { method: "HEAD" })).status, 200);
});

test("the gate's own endpoints cost nothing and stay open when the limit is reached", async () => {
  const { client } = await poor(gate);
  for (const path of ["/health", "/limits?endpoint=/cpu", "/usage", "/receipt-key"]) await served(await client(`/_tollgate${path}`));
  await exactly(client, 0);
});

test("without ADMIN_TOKEN the dashboard says so, and what to do", async () => {
  const page = await served(await gate.client()("/_tollgate/dashboard"));
  assert.match(page.headers.get("content-security-policy")!, /^default-src 'none'; style-src 'sha256-/);
  const html = await page.text();
  assert.match(html, /openssl rand -hex 32 \| npx wrangler secret put ADMIN_TOKEN/);
  assert.doesNotMatch(html, /<script|<input/);
});

test("the prefix is the owner's choice", async () => {
  const moved = await world.gate({ settings: { prefix: "/toll" } });
  await served(await moved.client()("/toll/health"));
  const through = await (await served(await moved.client()("/_tollgate/health"))).json() as Table;
  assert.equal(through["path"], "/_tollgate/health");
  await moved.stop();
});

test("every answer has a request id of its own", async () => {
  const client = gate.client();
  const paths = ["/cpu", "/_tollgate/health", "/_tollgate/nonsense", "/cpu"];
  const ids = await Promise.all(paths.map(async (path) => (await client(path)).headers.get("tollgate-request-id")));
  assert.equal(new Set(ids).size, paths.length);
  assert.equal(ids.includes(null), false);
});

test("a request id that a client brings is not taken over", async () => {
  const response = await gate.client()("/cpu", { headers: { "Tollgate-Request-Id": "mine" } });
  assert.notEqual(response.headers.get("tollgate-request-id"), "mine");
});
