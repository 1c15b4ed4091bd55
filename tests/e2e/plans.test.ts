// Plans as owners write them: what loads, whose plan it is, what it gives access to, and what is wrong with a bad one.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";
import { problem, remaining, served, whole } from "./rig/answers.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { MINUTE, attempt, standing, startLimits, windowEnd } from "./rig/limits.ts";

after(stopAll);

/** Two plans written for another limiter; YAML 1.2 reads the numbers with `_` as texts. */
const PREDECESSORS = {
  free_tier: {
    name: "Free Tier",
    endpoints: {
      "gpt-4-turbo": {
        fixed_windows: [
          { window: "60s", limit: 3, unit_type: "request" },
          { window: "86_400s", limit: 200, unit_type: "request" },
          { window: "60s", limit: "40_000", unit_type: "token" },
        ],
        max_concurrent: 4,
        concurrency_expiry: "60s",
      },
      "dall-e-3": { fixed_windows: [{ window: "60s", limit: 1, unit_type: "image" }] },
    },
  },
  basic_plan: {
    name: "Basic Plan",
    endpoints: { "api/v1/chat": { sliding_windows: [{ window: "60s", limit: 100, unit_kind: "request" }] } },
  },
};

async function loaded(default_plan: string): Promise<Gate> {
  return (await startLimits({ plans: PREDECESSORS, settings: { default_plan } })).gate;
}

test("a plan file of the predecessor loads as it was written, and all its limits hold", async () => {
  const gate = await loaded("free_tier");
  await windowEnd(MINUTE, 5000);
  const client = gate.client();
  for (const left of [2, 1, 0]) assert.equal(remaining(await served(await client("/gpt-4-turbo", { method: "POST" }))), left);
  const denied = await client("/gpt-4-turbo", { method: "POST" });
  assert.equal((await problem(denied, 429, "rate-limited"))["endpoint"], "gpt-4-turbo");
  for (const [limit, unit, left] of [[3, "request", 0], [200, "request", 197], [40_000, "token", 40_000]] as const) {
    assert.equal((await standing(client, "gpt-4-turbo", unit, limit))["remaining"], left);
  }
  assert.equal((await standing(client, "dall-e-3", "image"))["limit"], 1);
  // Slots are among the limits, whatever they are called there.
  const all = await (await client("/_tollgate/limits?endpoint=gpt-4-turbo")).json() as Table;
  assert.ok(all["limits"].some((each: Table) => each["limit"] === 4 && /concurren/.test(JSON.stringify(each))), JSON.stringify(all));
  await gate.stop();
});

test("an endpoint that the plan does not list is not accessible, and the answer names it", async () => {
  const gate = await loaded("basic_plan");
  const answer = await served(await gate.client()("/api/v1/chat"));
  assert.equal(whole(answer, "x-ratelimit-limit"), 100);
  assert.equal(remaining(answer), 99);
  const { detail } = await problem(await gate.client()("/api/v1/images"), 403, "no-access");
  assert.match(detail, /^no access to endpoint: (GET )?\/?api\/v1\/images$/);
  await gate.stop();
});

test("the kind of a client tells its plan, and `default_plan` where the kind is not named", async () => {
  const { gate, origin } = await startLimits({
    plans: {
      anonymous: { name: "Anonymous", endpoints: { "*": { bucket: { rpm: 10, burst: 5 } } } },
      standard: { name: "Standard", endpoints: { "*": { bucket: { rpm: 60, burst: 20 } } } },
      verified: { name: "Verified", endpoints: { "*": { bucket: { rpm: 120, burst: 50 } } } },
    },
    settings: { default_plan: "verified", default_plans: { ip: "anonymous", wallet: "standard" } },
  });
  const ip = freshAddress();
  const answers = [];
  for (let count = 0; count < 6; count += 1) answers.push(await gate.client(ip)("/cpu"));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200, 200, 429]);
  assert.equal(whole(answers[5]!, "x-ratelimit-limit"), 10);
  // One comes back each six seconds, counted from the first of the five.
  const wait = whole(answers[5]!, "retry-after");
  assert.ok(wait >= 4 && wait <= 6, `${wait}`);
  assert.equal(origin.seen[0]!.headers["tollgate-plan"], "anonymous");
  const accounts = [[`ip:${freshAddress()}`, 10], [`wallet:0x${"ab".repeat(20)}`, 60], ["key:acme", 120]] as const;
  for (const [account, limit] of accounts) {
    const { allowed, limits } = await attempt(gate, { request_id: randomUUID(), account, endpoint: "*" });
    assert.deepEqual({ allowed, limit: limits[0].limit }, { allowed: true, limit });
  }
  await gate.stop();
});

/** Each of these endpoints has one fault; the member that is at fault. */
const FAULTS: Record<string, [Table, string]> = {
  "/unit": [{ fixed_windows: [{ window: "60s", limit: 3, unit_typ: "token" }] }, "unit_typ"],
  "/window": [{ fixed_windows: [{ window: "soon", limit: 3 }] }, "window"],
  "/nothing": [{ fixed_windows: [{ window: "0s", limit: 3 }] }, "window"],
  "/limitless": [{ fixed_windows: [{ window: "60s" }] }, "limit"],
  "/negative": [{ sliding_windows: [{ window: "60s", limit: -3 }] }, "limit"],
  "/slots": [{ max_concurent: 4 }, "max_concurent"],
  "/many": [{ max_concurrent: "many" }, "max_concurrent"],
  "/expiry": [{ max_concurrent: 4, concurrency_expiry: "later" }, "concurrency_expiry"],
  "/wait": [{ bucket: { capacity: 1, refill_rate: 1 }, over_limit: "queue", max_wait: "a while" }, "max_wait"],
  "/list": [{ fixed_windows: { window: "60s", limit: 3 } }, "fixed_windows"],
};

test("a plan that cannot be enforced as it is written is not enforced in part: each fault is named, and nothing passes", async () => {
  const endpoints = Object.fromEntries(Object.entries(FAULTS).map(([name, [endpoint]]) => [name, endpoint]));
  const default_plans = { ip: "gold", robot: "free" };
  const { gate, origin } = await startLimits({ endpoints: { "*": {}, ...endpoints }, settings: { default_plans } });
  const { detail } = await problem(await gate.client()("/cpu"), 500, "misconfigured");
  for (const [name, [, member]] of Object.entries(FAULTS)) {
    // What stands between the endpoint and the next one is about the endpoint.
    const said = detail.slice(detail.indexOf(name)).split("PLANS.")[0];
    assert.ok(detail.includes(name) && said.includes(member), `${name} ${member}: ${detail}`);
  }
  assert.match(detail, /gold/);
  assert.match(detail, /robot/);
  assert.equal(origin.seen.length, 0);
  await gate.stop();
});
