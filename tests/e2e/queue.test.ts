// Requests over the limit that wait for their turn instead of being refused: in order, not too long, and not too many.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, retryAfter, served } from "./rig/answers.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually, sleep } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { attempt, startLimits, windowEnd } from "./rig/limits.ts";
import type { Limits } from "./rig/limits.ts";
import { leavable } from "./rig/wire.ts";

let limits: Limits;

before(async () => {
  const queue = { over_limit: "queue", max_wait: "20s", max_queue: 2 };
  limits = await startLimits({
    // Calls are billed as they are made, not when an alarm happens to look at the account.
    settings: { flush_interval: "60s" },
    endpoints: {
      "/window": { ...queue, max_queue: 20, fixed_windows: [{ window: "1s", limit: 3 }] },
      "/line": { ...queue, max_queue: 20, bucket: { capacity: 1, refill_rate: 2 } },
      "/away": { ...queue, bucket: { capacity: 1, refill_rate: 2 } },
      "/short": { ...queue, bucket: { capacity: 1, refill_rate: 1 } },
      "/slow": { ...queue, max_wait: "60s", bucket: { capacity: 1, refill_rate: 0.125 } },
      "/impatient": { ...queue, max_wait: "3s", bucket: { capacity: 1, refill_rate: 0.2 } },
    },
  });
});

after(stopAll);

/** When the requests of `path` were with the origin, by their number. */
function turns(path: string): { n: string | null; at: number }[] {
  return limits.origin.at(path).map(({ query, at }) => ({ n: query.get("n"), at }));
}

async function billed(client: Fetch): Promise<number> {
  return (await (await served(await client("/_tollgate/usage"))).json() as Table)["calls"];
}

/** The answer, or nothing if it is not there within `ms`. */
async function within(ms: number, answer: Promise<Response>): Promise<Response | undefined> {
  return await Promise.race([answer, sleep(ms).then(() => undefined)]);
}

test("three a second, five at once: three now, two after the second has turned, and all are served", async () => {
  const client = limits.gate.client();
  await served(await limits.gate.client()("/window"));
  const earlier = turns("/window").length;
  const end = await windowEnd(1000, 1000);
  const answers = await Promise.all([1, 2, 3, 4, 5].map(async () => await client("/window")));
  for (const answer of answers) await served(answer);
  const at = turns("/window").slice(earlier).map((turn) => turn.at - end);
  assert.equal(at.length, 5);
  assert.ok(at.slice(0, 3).every((ms) => ms < 0), `${at}`);
  assert.ok(at.slice(3).every((ms) => ms >= 0 && ms < 900), `${at}`);
  assert.equal(await billed(client), 5);
});

test("the queue is in order: each request has its turn when those before it have had theirs", async () => {
  const client = limits.gate.client();
  const answers = [];
  for (const n of [1, 2, 3, 4]) {
    answers.push(client(`/line?n=${n}`));
    await sleep(60);
  }
  for (const answer of await Promise.all(answers)) await served(answer);
  const found = turns("/line");
  assert.deepEqual(found.map(({ n }) => n), ["1", "2", "3", "4"]);
  // Half a second each, from the first; what a busy machine adds makes no turn come early.
  found.forEach(({ at }, index) => assert.ok(at - found[0]!.at >= index * 500 - 100, `${index}: ${at - found[0]!.at}`));
  assert.ok(found[3]!.at - found[0]!.at < 2400);
});

test("more than `max_queue` waiting is a 429 at once that says so, and those who wait are served", async () => {
  const client = limits.gate.client();
  await served(await client("/short"));
  const answers = [client("/short"), client("/short")];
  await sleep(100);
  const refused = await within(600, client("/short"));
  assert.ok(refused, "it is answered at once");
  assert.ok(retryAfter(refused) >= 1);
  await problem(refused, 429, "queue-full");
  for (const answer of await Promise.all(answers)) await served(answer);
});

test("who would have to wait longer than `max_wait` is refused at once", async () => {
  const client = limits.gate.client();
  await served(await client("/impatient"));
  const refused = await within(1500, client("/impatient"));
  assert.ok(refused, "it is answered at once");
  assert.equal(refused.status, 429);
  assert.ok(retryAfter(refused) >= 1 && retryAfter(refused) <= 5);
});

test("the request of a client that goes away never reaches the origin", async () => {
  const ip = freshAddress();
  const client = limits.gate.client(ip);
  await served(await client("/away?n=1"));
  const second = leavable(limits.gate, ip, "/away?n=2");
  await sleep(100);
  second.leave();
  // When these have had their turns, the second one's is over as well.
  for (const n of [3, 4]) await served(await client(`/away?n=${n}`));
  assert.deepEqual(turns("/away").map(({ n }) => n), ["1", "3", "4"]);
  assert.equal(await billed(client), 3);
});

test("a client that goes away frees its place", async () => {
  const ip = freshAddress();
  const client = limits.gate.client(ip);
  await served(await client("/slow?n=0"));
  const queue = [leavable(limits.gate, ip, "/slow?n=1"), leavable(limits.gate, ip, "/slow?n=2")];
  await sleep(300);
  await problem((await within(1000, client("/slow?n=3")))!, 429, "queue-full");
  queue.shift()!.leave();
  await eventually("somebody else can wait in its place", async () => {
    const next = leavable(limits.gate, ip, "/slow?n=4");
    queue.push(next);
    // Who is refused is told at once; who is not told waits.
    await sleep(300);
    return next.answered() ? undefined : true;
  }, 4000);
  for (const waiting of queue) waiting.leave();
});

test("a backend is told how long to wait", async () => {
  const ask = async (request_id: string) => await attempt(limits.gate, { request_id, account, endpoint: "/slow" });
  const account = `ip:${freshAddress()}`;
  const first = await ask(`${account}-1`);
  assert.equal(first["allowed"], true);
  assert.equal(first["wait_ms"] ?? 0, 0);
  const second = await ask(`${account}-2`);
  assert.equal(second["allowed"], true);
  assert.ok(second["wait_ms"] > 6000 && second["wait_ms"] <= 8000, `${second["wait_ms"]}`);
});
