// The platform fails under the gate: D1 takes a question and never answers, and the storage of an account fails at its writes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, served } from "./rig/answers.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";

let gate: Gate;

before(async () => {
  ({ gate } = await startLimits({
    platform: "faulty_platform.js",
    endpoints: {
      // Whole again at once: of its clients nothing is stored before an answer.
      "/light": { bucket: { capacity: 1000, refill_rate: 1000 } },
      // Stored before each answer.
      "/kept": { quotas: [{ period: "month", limit: 5 }] },
    },
  }));
});

after(stopAll);

async function calls(client: Fetch): Promise<number> {
  return (await (await served(await client("/_tollgate/usage"))).json() as Table)["calls"];
}

async function inLedger(ip: string): Promise<number> {
  const [sum] = await gate.ledger("SELECT SUM(calls) AS calls FROM usage WHERE account = ?", `ip:${ip}`);
  return Number(sum!["calls"] ?? 0);
}

test("a ledger that never answers slows no request, and what was counted meanwhile survives a crash", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await gate.faults({ ledger: "hangs" });
  for (let nth = 0; nth < 3; nth += 1) await (await served(await client("/light"))).text();
  const bill = await problem(await client("/_tollgate/usage"), 503, "ledger-unavailable");
  assert.match(bill["detail"], /nothing is lost/);
  await (await served(await client("/light"))).text();
  // Between two flushes that were given up, what was counted is stored.
  const givenUp = () => gate.logs.filter(({ message }) => /ledger: no answer in 5s; usage stays here/.test(message)).length;
  await eventually("flushes are given up", async () => givenUp() >= 2 ? true : undefined, 60_000);
  await gate.kill();
  await gate.restart();
  assert.equal(await calls(client), 4);
  await (await served(await client("/light"))).text();
  await eventually("the ledger has it all", async () => await inLedger(ip) === 5 ? true : undefined, 30_000);
});

for (const storage of ["fails", "lies"] as const) {
  test(`what cannot be stored is not answered as served, and counts at most once: a write ${storage}`, async () => {
    const ip = freshAddress();
    const client = gate.client(ip);
    await served(await client("/kept"));
    await gate.faults({ storage });
    for (let nth = 0; nth < 3; nth += 1) await problem(await client("/kept"), 500, "internal");
    await gate.faults();
    for (let nth = 0; nth < 4; nth += 1) await served(await client("/kept"));
    await problem(await client("/kept"), 429, "quota-exceeded");
    assert.equal(await calls(client), 5);
    await eventually("the ledger says the same", async () => await inLedger(ip) === 5 ? true : undefined, 30_000);
  });
}

test("killed after a write that was made and reported failed, the gate counts what was answered, and at most that one more", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await served(await client("/kept"));
  await gate.faults({ storage: "lies" });
  await problem(await client("/kept"), 500, "internal");
  await gate.kill();
  await gate.restart();
  assert.ok([1, 2].includes(await calls(client)));
  let answered = 1;
  while ((await client("/kept")).status === 200) answered += 1;
  assert.ok([4, 5].includes(answered), `${answered}`);
  assert.equal(await calls(client), 5);
});
