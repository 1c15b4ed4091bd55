// Windows as a client meets them: how many requests pass, what the headers say, and when the next one passes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, remaining, retryAfter, served, whole } from "./rig/answers.ts";
import { eventually } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { DAY, HOUR, MINUTE, attempt, standing, startLimits, until, windowEnd } from "./rig/limits.ts";
import type { Limits } from "./rig/limits.ts";

let limits: Limits;

before(async () => {
  limits = await startLimits({
    endpoints: {
      "/openai": {
        fixed_windows: [{ window: "60s", limit: 3, unit_type: "request" }, { window: "86_400s", limit: 200 }, { window: "60s", limit: 40_000, unit_type: "token" }],
      },
      "/turn": { fixed_windows: [{ window: "2s", limit: 3 }] },
      "/two": { fixed_windows: [{ window: "1h", limit: 2 }, { window: "24h", limit: 100 }] },
      "/mixed": { bucket: { capacity: 2, refill_rate: 0.001 }, fixed_windows: [{ window: "1h", limit: 100 }] },
      "/images": { fixed_windows: [{ window: "1h", limit: 100, unit_type: "image" }, { window: "1h", limit: 5, unit_kind: "gpu-second" }] },
      "/sliding": { sliding_windows: [{ window: "3s", limit: 3 }] },
      "/dear": { bucket: { capacity: 4, refill_rate: 4 }, cost: 5 },
    },
  });
});

after(stopAll);

test("of four requests in a minute three pass, and the fourth is told which limit it is and when the minute ends", async () => {
  const end = await windowEnd(MINUTE, 5000);
  const client = limits.gate.client();
  for (const left of [2, 1, 0]) {
    const answer = await served(await client("/openai"));
    assert.equal(whole(answer, "x-ratelimit-limit"), 3);
    assert.equal(remaining(answer), left);
    assert.equal(whole(answer, "x-ratelimit-reset"), end / 1000);
    assert.equal(whole(answer, "x-ratelimit-limit-token"), 40_000);
    assert.equal(whole(answer, "x-ratelimit-remaining-token"), 40_000);
  }
  const before = Date.now();
  const denied = await client("/openai");
  const wait = retryAfter(denied);
  assert.ok(wait >= Math.ceil((end - Date.now()) / 1000) && wait <= Math.ceil((end - before) / 1000), `${wait}`);
  assert.equal(whole(denied, "x-ratelimit-reset"), end / 1000);
  const { endpoint, unit, limit, remaining: left, retry_after } = await problem(denied, 429, "rate-limited");
  assert.deepEqual({ endpoint, unit, limit, left, retry_after }, { endpoint: "/openai", unit: "request", limit: 3, left: 0, retry_after: wait });
});

test("RateLimit and RateLimit-Policy tell of every window", async () => {
  await windowEnd(MINUTE, 3000);
  const answer = await served(await limits.gate.client()("/openai"));
  const items = (field: string) => answer.headers.get(field)!.split(",").map((item) => item.trim());
  const policies = new Map(items("ratelimit-policy").map((item) => [item.split(";")[0]!, item]));
  assert.equal(policies.size, 3, "each has a name of its own");
  const told = items("ratelimit").map((item) => {
    const name = item.split(";")[0]!;
    return [policies.get(name)?.match(/;q=\d+/)?.[0], policies.get(name)?.match(/;w=\d+/)?.[0], item.match(/;r=\d+/)?.[0]].join("");
  });
  assert.deepEqual(told.sort(), [";q=200;w=86400;r=199", ";q=3;w=60;r=2", ";q=40000;w=60;r=40000"]);
  const midnight = Math.ceil((Math.ceil(Date.now() / DAY) * DAY - Date.now()) / 1000);
  const reset = Number(/;r=199;t=(\d+)/.exec(answer.headers.get("ratelimit")!)?.[1]);
  assert.ok(reset >= midnight && reset <= midnight + 3, `${reset}, not ${midnight}`);
});

test("Retry-After is a promise: the window before denies, and when it turns, at its multiple since the epoch, three pass again", async () => {
  const client = limits.gate.client();
  const end = await windowEnd(2000, 1200);
  for (let count = 0; count < 3; count += 1) await served(await client("/turn"));
  const wait = retryAfter(await client("/turn"));
  assert.ok(wait === 1 || wait === 2, `${wait}`);
  await until(end - 300);
  await problem(await client("/turn"), 429, "rate-limited");
  await until(end);
  for (const left of [2, 1, 0]) assert.equal(remaining(await served(await client("/turn"))), left);
});

test("what is denied counts nowhere", async () => {
  await windowEnd(HOUR, 3000);
  const client = limits.gate.client();
  for (let count = 0; count < 2; count += 1) {
    await served(await client("/two"));
    await served(await client("/mixed"));
  }
  for (let count = 0; count < 3; count += 1) {
    assert.equal((await problem(await client("/two"), 429, "rate-limited"))["limit"], 2);
    await problem(await client("/mixed"), 429, "rate-limited");
  }
  assert.equal((await standing(client, "/two", "request", 100))["remaining"], 98);
  assert.equal((await standing(client, "/mixed", "request", 100))["remaining"], 98);
});

test("asking more of one unit than its limit can ever give counts nothing, and no time is named", async () => {
  await windowEnd(MINUTE, 3000);
  const ip = freshAddress();
  const ask = async (token: number) => await attempt(limits.gate, { request_id: `${ip}-${token}`, account: `ip:${ip}`, endpoint: "/openai", units: { token } });
  const never = await ask(40_001);
  assert.equal(never["allowed"], false);
  assert.equal(never["retry_after_ms"] ?? null, null);
  const client = limits.gate.client(ip);
  assert.equal((await standing(client, "/openai", "request", 3))["remaining"], 3);
  assert.equal((await standing(client, "/openai", "token"))["remaining"], 40_000);
  assert.equal((await ask(40_000))["allowed"], true);
  assert.equal((await standing(client, "/openai", "token"))["remaining"], 0);
});

test("a request that costs more than the limit can ever give is a 429 that says so, without Retry-After", async () => {
  const denied = await limits.gate.client()("/dear");
  assert.equal(denied.headers.has("retry-after"), false);
  const { detail, retry_after } = await problem(denied, 429, "rate-limited");
  assert.equal(retry_after, undefined);
  assert.match(detail, /never|more than/i);
});

test("units of any name are counted when the origin tells them, even past the limit, and then the next request waits", async () => {
  await windowEnd(HOUR, 8000);
  const client = limits.gate.client();
  const counted = async (unit: string, left: number) => await eventually(`${left} of ${unit} are left`, async () =>
    (await standing(client, "/images", unit))["remaining"] === left ? true : undefined);
  const first = await served(await client("/images?units=image=60,%20gpu-second=2"));
  assert.equal(first.headers.has("tollgate-units"), false, "it is for the gate");
  await counted("image", 40);
  await counted("gpu-second", 3);
  await served(await client("/images?units=image=60"));
  await counted("image", 0);
  const denied = await client("/images");
  assert.ok(retryAfter(denied) > 0);
  const { unit, limit, remaining: left } = await problem(denied, 429, "rate-limited");
  assert.deepEqual({ unit, limit, left }, { unit: "image", limit: 100, left: 0 });
  assert.equal((await standing(client, "/images", "gpu-second"))["remaining"], 3);
});

test("a sliding window remembers the one before: at its turn nothing is free, and then one after the other", async () => {
  const client = limits.gate.client();
  const end = await windowEnd(3000, 1500);
  for (let count = 0; count < 3; count += 1) await served(await client("/sliding"));
  await problem(await client("/sliding"), 429, "rate-limited");
  // A second into the next window one third of the three is forgotten, and after two seconds another one.
  await until(end + 100);
  assert.equal(retryAfter(await client("/sliding")), 1);
  await until(end + 1000);
  await served(await client("/sliding"));
  assert.equal((await client("/sliding")).status, 429);
});

test("another client, and another endpoint, has windows of its own", async () => {
  await windowEnd(HOUR, 3000);
  const client = limits.gate.client();
  for (let count = 0; count < 2; count += 1) await served(await client("/two"));
  assert.equal((await client("/two")).status, 429);
  await served(await client("/turn"));
  await served(await limits.gate.client()("/two"));
});

test("what was used in a window is still used after a crash", async () => {
  await windowEnd(HOUR, 15_000);
  const ip = freshAddress();
  for (let count = 0; count < 2; count += 1) await served(await limits.gate.client(ip)("/two"));
  // Free allowances are written at most once a second, and with the usage.
  await eventually("the usage is in the ledger", async () =>
    (await limits.gate.ledger("SELECT SUM(calls) AS calls FROM usage WHERE account = ?", `ip:${ip}`))[0]!["calls"] === 2 ? true : undefined);
  await limits.gate.kill();
  await limits.gate.restart();
  await problem(await limits.gate.client(ip)("/two"), 429, "rate-limited");
});
