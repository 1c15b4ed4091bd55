// Concurrency slots: never more requests with the origin than the plan says, and a slot comes back however its request ends.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { problem, retryAfter, served } from "./rig/answers.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually, sleep } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { admitted, startLimits, until } from "./rig/limits.ts";
import type { Limits } from "./rig/limits.ts";
import { leavable } from "./rig/wire.ts";

let limits: Limits;

before(async () => {
  limits = await startLimits({
    endpoints: {
      "/four": { max_concurrent: 4, concurrency_expiry: "60s" },
      "/one": { max_concurrent: 1, concurrency_expiry: "60s" },
      "/brief": { max_concurrent: 1, concurrency_expiry: "2s" },
      "/windowed": { max_concurrent: 1, concurrency_expiry: "60s", fixed_windows: [{ window: "24h", limit: 2 }] },
    },
  });
});

afterEach(async () => {
  limits.origin.answer();
  await limits.origin.holds(0);
});

after(stopAll);

/** Sends requests that the origin holds, and waits until it has them. */
async function occupy(client: Fetch, path: string, count = 1): Promise<Promise<Response>[]> {
  const answers = Array.from({ length: count }, () => client(`${path}?stream`));
  await limits.origin.holds(count);
  return answers;
}

/** Waits until a request passes; each one before is told that there are too many at once. */
async function passes(client: Fetch, path: string): Promise<void> {
  await eventually(`a slot of ${path} is free`, async () => {
    const answer = await client(path);
    if (answer.status === 200) return await answer.text();
    await problem(answer, 429, "too-many-concurrent");
    return undefined;
  });
}

async function isDenied(client: Fetch, path: string): Promise<Response> {
  const denied = await client(path);
  const wait = retryAfter(denied);
  assert.ok(wait >= 1 && wait <= 60, `${wait}`);
  assert.equal((await problem(denied, 429, "too-many-concurrent"))["limit"], path === "/four" ? 4 : 1);
  return denied;
}

test("with four at work a fifth is refused, and passes when one of them has ended", async () => {
  const client = limits.gate.client();
  const answers = await occupy(client, "/four", 4);
  await isDenied(client, "/four");
  limits.origin.answer(1);
  await passes(client, "/four");
  limits.origin.answer();
  for (const answer of answers) assert.equal(await (await served(await answer)).text(), "{}");
});

test("a slot is held until the answer has ended, not only until it has begun", async () => {
  const client = limits.gate.client();
  const [answer] = await occupy(client, "/one");
  const response = await served(await answer!);
  await isDenied(client, "/one");
  limits.origin.answer();
  await response.text();
  await passes(client, "/one");
});

test("another client, and another endpoint, has slots of its own", async () => {
  const client = limits.gate.client();
  await occupy(client, "/one");
  await served(await limits.gate.client()("/one"));
  await served(await client("/four"));
});

test("a request that found no slot counts in no window", async () => {
  const client = limits.gate.client();
  await occupy(client, "/windowed");
  for (let count = 0; count < 3; count += 1) await isDenied(client, "/windowed");
  limits.origin.answer();
  await passes(client, "/windowed");
  await problem(await client("/windowed"), 429, "rate-limited");
});

for (const [what, query] of [["fails", "status=500"], ["breaks the connection before it answers", "fail"], ["breaks the connection within its answer", "cut"]]) {
  test(`a slot is free again when the origin ${what}`, async () => {
    const client = limits.gate.client();
    const failed = await client(`/one?${query}`);
    assert.equal(failed.status, { "status=500": 500, "fail": 502, "cut": 200 }[query!]);
    await failed.text().catch(() => "cut off");
    await passes(client, "/one");
  });
}

test("a slot is free again when the client closes in the middle of an answer that goes on", async () => {
  const client = limits.gate.client();
  const leaving = new AbortController();
  const response = await served(await client("/one?stream=50", { signal: leaving.signal }));
  await response.body!.getReader().read();
  await isDenied(client, "/one");
  leaving.abort();
  await passes(client, "/one");
});

for (const [what, query] of [["in the middle of a silent answer", "stream"], ["before the answer", "ms=20000"]]) {
  test(`a slot is free again when the client goes away ${what}`, async () => {
    const ip = freshAddress();
    const client = limits.gate.client(ip);
    const leaving = leavable(limits.gate, ip, `/one?${query}`);
    await eventually("the origin has it", async () => limits.origin.open === 1 ? true : undefined);
    await isDenied(client, "/one");
    leaving.leave();
    await passes(client, "/one");
    await eventually("the origin is rid of it", async () => limits.origin.open === 0 ? true : undefined);
  });
}

test("a slot lapses at its expiry, as Retry-After says, and its late end takes nobody else's", async () => {
  const client = limits.gate.client();
  await occupy(client, "/brief");
  const since = Date.now();
  assert.equal(retryAfter(await isDenied(client, "/brief")), 2);
  await until(since + 2000);
  const second = client("/brief?stream");
  await limits.origin.holds(2);
  // The first one ends now; the slot in use is the second one's.
  limits.origin.answer(1);
  for (const settled = Date.now() + 400; Date.now() < settled; await sleep(100)) await isDenied(client, "/brief");
  limits.origin.answer();
  await (await second).text();
  await passes(client, "/brief");
});

test("of two hundred at once no more than four are ever with the origin, and all slots come back", async () => {
  const client = limits.gate.client();
  const earlier = limits.origin.at("/four").length;
  const answers = await Promise.all(Array.from({ length: 200 }, () => client("/four?ms=30")));
  const count = await admitted(answers, "too-many-concurrent");
  assert.ok(count >= 4, `${count} admitted`);
  assert.equal(limits.origin.at("/four").length - earlier, count);
  assert.equal(limits.origin.most("/four"), 4);
  for (let slot = 0; slot < 4; slot += 1) {
    await eventually(`slot ${slot} is free`, async () => {
      const answer = await client("/four?stream");
      if (answer.status === 200) return true;
      await problem(answer, 429, "too-many-concurrent");
      return undefined;
    });
  }
  await isDenied(client, "/four");
});
