// Two hundred requests at the same moment: exactly as many pass as the limit says, whatever kind of limit it is.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { served } from "./rig/answers.ts";
import { freshAddress } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { HOUR, admitted, attempt, standing, startLimits, windowEnd } from "./rig/limits.ts";
import type { Limits } from "./rig/limits.ts";

const AT_ONCE = 200;
const LIMIT = 50;

let limits: Limits;

before(async () => {
  const fixed_windows = [{ window: "1h", limit: LIMIT }];
  limits = await startLimits({
    endpoints: {
      "/fixed": { fixed_windows },
      "/sliding": { sliding_windows: [{ window: "24h", limit: LIMIT }] },
      "/bucket": { bucket: { capacity: LIMIT, refill_rate: 0.001 } },
      "/all": { fixed_windows: [{ window: "24h", limit: 60 }, ...fixed_windows], bucket: { capacity: 70, refill_rate: 0.001 }, max_concurrent: 1000 },
      "/degrade": { fixed_windows, over_limit: "degrade" },
    },
  });
});

after(stopAll);

for (const path of ["/fixed", "/sliding", "/bucket", "/all"]) {
  test(`exactly ${LIMIT} of ${AT_ONCE} at once pass ${path}`, async () => {
    await windowEnd(HOUR, 10_000);
    const client = limits.gate.client();
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => client(path)));
    assert.equal(await admitted(answers, "rate-limited"), LIMIT);
    assert.equal(limits.origin.at(path).length, LIMIT);
    if (path !== "/all") return;
    // What one limit denied is not counted by those that had room.
    assert.equal((await standing(client, path, "request", 60))["remaining"], 10);
    assert.equal((await standing(client, path, "request", 70))["remaining"], 20);
  });
}

test(`exactly ${LIMIT} of ${AT_ONCE} at once are not degraded`, async () => {
  await windowEnd(HOUR, 10_000);
  const client = limits.gate.client();
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, async () => await served(await client("/degrade"))));
  assert.equal(answers.filter((answer) => !answer.headers.has("tollgate-degraded")).length, LIMIT);
});

test(`exactly ${LIMIT} of ${AT_ONCE} at once are allowed to a backend`, async () => {
  await windowEnd(HOUR, 10_000);
  const account = `ip:${freshAddress()}`;
  const ask = async (number: number) => await attempt(limits.gate, { request_id: `${account}-${number}`, account, endpoint: "/fixed" });
  const decisions = await Promise.all(Array.from({ length: AT_ONCE }, (_, number) => ask(number)));
  assert.equal(decisions.filter(({ allowed }) => allowed).length, LIMIT);
});
