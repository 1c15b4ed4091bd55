// Requests over the limit that are served all the same, marked as degraded, so that the origin can do less for them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { served } from "./rig/answers.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { HOUR, attempt, startLimits, until, windowEnd } from "./rig/limits.ts";
import type { Limits } from "./rig/limits.ts";

let limits: Limits;

before(async () => {
  limits = await startLimits({
    endpoints: {
      "/three": { fixed_windows: [{ window: "1h", limit: 3 }], over_limit: "degrade" },
      "/turn": { fixed_windows: [{ window: "2s", limit: 1 }], over_limit: "degrade" },
      "/large": { fixed_windows: [{ window: "1h", limit: 1 }], over_limit: "degrade", degrade_to: "/small" },
    },
  });
});

after(stopAll);

/** Whether an answer says that it is degraded; the origin must have been told the same. */
function degraded(answer: Response): boolean {
  const told = answer.headers.get("tollgate-degraded");
  assert.equal(limits.origin.seen.at(-1)!.headers["tollgate-degraded"] ?? null, told);
  assert.ok(told === null || told === "true", `${told}`);
  return told === "true";
}

test("the first three are served as ever, and the fourth with the flag, for the origin and for the client", async () => {
  await windowEnd(HOUR, 3000);
  const client = limits.gate.client();
  for (const expected of [false, false, false, true, true]) {
    assert.equal(degraded(await served(await client("/three"))), expected);
  }
  assert.equal(degraded(await served(await limits.gate.client()("/three"))), false, "another client is not concerned");
});

test("when the window turns, requests are served as ever again", async () => {
  const client = limits.gate.client();
  const end = await windowEnd(2000, 1000);
  assert.equal(degraded(await served(await client("/turn"))), false);
  assert.equal(degraded(await served(await client("/turn"))), true);
  await until(end);
  assert.equal(degraded(await served(await client("/turn"))), false);
});

test("a client cannot ask to be told or not to be told", async () => {
  const answer = await served(await limits.gate.client()("/three", { headers: { "Tollgate-Degraded": "true" } }));
  assert.equal(degraded(answer), false);
});

test("`degrade_to` names where degraded requests go, with the same method and body", async () => {
  await windowEnd(HOUR, 3000);
  const client = limits.gate.client();
  const ask = async () => await (await served(await client("/large", { method: "POST", body: "question" }))).json() as Table;
  assert.equal((await ask())["path"], "/large");
  const { method, path, body } = await ask();
  assert.deepEqual({ method, path, body }, { method: "POST", path: "/small", body: "question" });
});

test("a backend is told that a request is degraded", async () => {
  await windowEnd(HOUR, 3000);
  const account = `ip:${freshAddress()}`;
  for (const number of [1, 2, 3, 4]) {
    const { allowed, degraded = false } = await attempt(limits.gate, { request_id: `${account}-${number}`, account, endpoint: "/three" });
    assert.deepEqual({ allowed, degraded }, { allowed: true, degraded: number === 4 });
  }
});
