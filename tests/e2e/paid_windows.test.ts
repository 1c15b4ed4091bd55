// Windows that can be paid for: a payment adds units to the window that denied, until it turns.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exactly, remaining, served } from "./rig/answers.ts";
import { payingV2 } from "./rig/clients.ts";
import type { Gate } from "./rig/gate.ts";
import { HOUR, until, windowEnd } from "./rig/limits.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  const sale = { over_limit: "pay", price: "0.001" };
  gate = await world.gate({
    plans: {
      free: {
        endpoints: {
          "/usual": { ...sale, fixed_windows: [{ window: "1h", limit: 3 }] },
          "/two": { ...sale, refill: 2, fixed_windows: [{ window: "1h", limit: 3 }, { window: "24h", limit: 100 }] },
          "/turn": { ...sale, fixed_windows: [{ window: "5s", limit: 1 }] },
        },
      },
    },
  });
});

after(async () => await world.stop());

for (const [path, added, what] of [["/usual", 3, "as many units as the window has"], ["/two", 2, "`refill` units"]] as const) {
  test(`a payment adds ${what}, of which the paid request takes one`, async () => {
    await windowEnd(HOUR, 15_000);
    const client = gate.client();
    const paying = payingV2(client, await world.chain.wallet());
    await exactly(client, 3, path);
    for (let round = 0; round < 2; round += 1) {
      assert.equal(remaining(await served(await paying(gate.at(path)))), added - 1);
      await exactly(client, added - 1, path);
    }
  });
}

test("once some of a window was bought, no shared cache may keep what it admits", async () => {
  await windowEnd(HOUR, 15_000);
  const client = gate.client();
  const cacheControl = async () => (await client(gate.at("/usual"))).headers.get("cache-control");
  assert.equal(await cacheControl(), null);
  await exactly(client, 2, "/usual");
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/usual")));
  assert.equal(await cacheControl(), "private");
});

test("what was paid for ends with the window, and then the free units are there again", async () => {
  const client = gate.client();
  const paying = payingV2(client, await world.chain.wallet());
  const end = await windowEnd(5000, 3500);
  await exactly(client, 1, "/turn");
  await served(await paying(gate.at("/turn")));
  await exactly(client, 0, "/turn");
  await until(end);
  await exactly(client, 1, "/turn");
});
