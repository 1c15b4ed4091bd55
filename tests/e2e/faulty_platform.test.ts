// The platform fails under the gate: D1 cannot be reached, takes a question and never answers, or makes a change and does not
// say so; and the storage of an account fails at its writes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, retryAfter, served } from "./rig/answers.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";
import { issue, order, ordered } from "./rig/owner.ts";

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

const PLAN = { endpoints: { "/late": {} } };

/** The owner's calls that nothing but the ledger can answer, or that change something in it. */
const OF_OWNERS: [string, string, unknown?][] = [
  ["GET", "/plans"], ["PUT", "/plans", { plans: { other: PLAN } }], ["GET", "/plans/free"], ["PUT", "/plans/other", PLAN], ["DELETE", "/plans/free"],
  ["GET", "/default-plan"], ["PUT", "/default-plan", { name: "free" }],
  ["GET", "/keys"], ["POST", "/keys", { account: "nobody" }], ["POST", "/keys", { account: "nobody", plan: "free" }], ["GET", "/keys/key_0"], ["DELETE", "/keys/key_0"],
  ["GET", "/accounts"], ["GET", "/accounts/key%3Anobody"], ["PUT", "/accounts/key%3Anobody/plan", { name: "free" }],
  ["POST", "/accounts/key%3Anobody/credits", { amount: 5 }],
  ["GET", "/payments"], ["GET", "/payments/pay_0"], ["GET", "/audit"],
  ["GET", "/usage"], ["GET", "/stats"], ["GET", "/top"],
];

/** Each of the owner's calls says that the ledger does not answer, and when to ask again. */
async function ownersAreTold(): Promise<void> {
  await Promise.all(OF_OWNERS.map(async ([method, path, body]) => {
    const answer = await order(gate, method, path, { body });
    assert.equal(answer.status, 503, `${method} ${path}`);
    assert.ok(retryAfter(answer) >= 1);
    const { detail, outcome } = await problem(answer, 503, "ledger-unavailable");
    // Only a key without a plan is made without a question before.
    const isUnknown = method === "POST" && path === "/keys" && !("plan" in (body as Table));
    assert.equal(outcome, isUnknown ? "unknown" : undefined, `${method} ${path}: ${detail}`);
    assert.match(detail, /nothing is lost/);
  }));
}

/** What the owner set so far. */
async function set(): Promise<unknown> {
  const tables = ["plan_versions", "plans", "accounts", "keys", "audit"].map(async (table) => await gate.ledger(`SELECT * FROM ${table}`));
  return [await Promise.all(tables), await ordered(gate, "GET", "/accounts/key%3Anobody/credits")];
}

test("a ledger that cannot be reached is told to the owner, who has changed nothing", async () => {
  const before = await set();
  await gate.faults({ ledger: "fails" });
  await ownersAreTold();
  await gate.faults();
  assert.deepEqual(await set(), before);
});

test("a ledger that never answers slows no request, and what was counted meanwhile survives a crash", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  const before = await set();
  await gate.faults({ ledger: "hangs" });
  const owners = ownersAreTold();
  for (let nth = 0; nth < 3; nth += 1) await (await served(await client("/light"))).text();
  const bill = await problem(await client("/_tollgate/usage"), 503, "ledger-unavailable");
  assert.match(bill["detail"], /nothing is lost/);
  await owners;
  await (await served(await client("/light"))).text();
  // Between two flushes that were given up, what was counted is stored.
  const givenUp = () => gate.logs.filter(({ message }) => /ledger: no answer in 5s; usage stays here/.test(message)).length;
  await eventually("flushes are given up", async () => givenUp() >= 2 ? true : undefined);
  await gate.kill();
  await gate.restart();
  assert.deepEqual(await set(), before);
  assert.equal(await calls(client), 4);
  await (await served(await client("/light"))).text();
  await eventually("the ledger has it all", async () => await inLedger(ip) === 5 ? true : undefined);
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
    await eventually("the ledger says the same", async () => await inLedger(ip) === 5 ? true : undefined);
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

test("changes that the ledger makes and does not say so are not called made, and can be sent again", async () => {
  const [{ id, client }, later] = [await issue(gate, "revoked"), await issue(gate, "later")];
  await gate.faults({ ledger: "lies" });
  const unsure = async (method: string, path: string, body?: unknown) => await problem(await order(gate, method, path, { body }), 503, "ledger-unavailable");
  const [plan, key, revocation, credits] = await Promise.all([
    unsure("PUT", "/plans/late", PLAN),
    unsure("POST", "/keys", { account: "untold", label: "untold" }),
    unsure("DELETE", `/keys/${id}`),
    unsure("POST", "/accounts/key%3Auntold/credits", { amount: 5 }),
  ]);
  await gate.faults();
  assert.deepEqual([plan, key, revocation, credits].map(({ outcome }) => outcome), ["unknown", "unknown", "unknown", undefined]);
  // The plan is there, and in force without another change.
  await ordered(gate, "PUT", "/accounts/key%3Alater/plan", { name: "late" });
  await (await served(await later.client("/late"))).text();
  assert.equal((await order(gate, "PUT", "/plans/late", { body: PLAN })).status, 200);
  // Of the key that nobody was told of only the ledger knows.
  assert.match(key["detail"], /no key was made/);
  const untold = (await ordered(gate, "GET", "/keys"))["items"].find(({ label }: Table) => label === "untold");
  await ordered(gate, "DELETE", `/keys/${untold["id"]}`, undefined, 204);
  assert.match(revocation["detail"], /refused from now on/);
  await problem(await client("/light"), 401, "unknown-key");
  await ordered(gate, "DELETE", `/keys/${id}`, undefined, 204);
  assert.deepEqual(await ordered(gate, "GET", "/accounts/key%3Auntold/credits"), { items: [], next_cursor: null, balance: "0", debt: "0" });
});

test("a key and the plan that comes with it are made together, or not", async () => {
  const wanted = { account: "half", label: "half", plan: "late" };
  await gate.ledger("CREATE TRIGGER no_key BEFORE INSERT ON keys WHEN NEW.account = 'key:half' BEGIN SELECT RAISE(ABORT, 'a fault for the test'); END");
  const { outcome } = await problem(await order(gate, "POST", "/keys", { body: wanted }), 503, "ledger-unavailable");
  assert.equal(outcome, undefined, "what is refused is undone");
  const { own_plan, plan, keys } = await ordered(gate, "GET", "/accounts/key%3Ahalf");
  assert.deepEqual([own_plan, plan, keys], [null, "free", []]);
  await gate.ledger("DROP TRIGGER no_key");
  await ordered(gate, "POST", "/keys", wanted, 201);
  const whole = await ordered(gate, "GET", "/accounts/key%3Ahalf");
  assert.deepEqual([whole["own_plan"], whole["plan"], whole["keys"].length], ["late", "late", 1]);
});
