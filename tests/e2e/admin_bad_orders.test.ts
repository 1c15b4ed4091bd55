// What the owner gets wrong: each file of bad_orders/ is a request with one fault and the exact answer to it. None changes
// anything.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import { problem } from "./rig/answers.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";
import { order } from "./rig/owner.ts";

const folder = new URL("bad_orders/", import.meta.url);
const TABLES = ["plan_versions", "plans", "accounts", "keys", "audit"];

let gate: Gate;

const limit = (count: number) => ({ endpoints: { "*": { fixed_windows: [{ window: "86400s", limit: count }] } } });
const payment = { pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", network: "base-sepolia", facilitators: ["http://127.0.0.1:9"] };

before(async () => {
  ({ gate } = await startLimits({ plans: { free: limit(200), pro: limit(1000) }, settings: { payment } }));
});

after(stopAll);

const names = (await readdir(folder)).filter((name) => name.endsWith(".json")).sort();

for (const name of names) {
  test(name.slice(0, -".json".length).replaceAll("_", " "), async () => {
    const { method, path, headers, body, answer } = JSON.parse(await readFile(new URL(name, folder), "utf8")) as Table;
    const response = await order(gate, method, path, { body, headers });
    const { detail } = await problem(response, answer["status"], answer["type"]);
    assert.equal(detail, answer["detail"]);
  });
}

test("none of them changed anything", async () => {
  assert.ok(names.length > 30);
  for (const table of TABLES) assert.deepEqual(await gate.ledger(`SELECT * FROM ${table}`), [], table);
});
