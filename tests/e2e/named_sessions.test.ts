// Sessions that clients name in a field of the owner's choice: each is a client of its own beside its key or wallet, from
// whatever address; and a name without a key or a proof identifies nobody.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { poor, problem, remaining, served } from "./rig/answers.ts";
import { newWallet } from "./rig/chain.ts";
import { offerV2, signIn, signInHeader } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { bearing, issue, order, ordered } from "./rig/owner.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

const bucket = { capacity: 1, refill_rate: 0.001 };

before(async () => {
  world = await startWorld();
  gate = await world.gate({
    plans: {
      ...bucketPlan(),
      agents: {
        name: "Agents",
        endpoints: {
          "/block": { bucket: { ...bucket, capacity: 2 } },
          "/queue": { bucket: { capacity: 1, refill_rate: 4 }, over_limit: "queue", max_wait: "20s" },
          "/degrade": { bucket, over_limit: "degrade" },
          "*": { bucket: { ...bucket, capacity: 2 }, over_limit: "pay", price: "0.001" },
        },
      },
    },
    settings: { session_header: "X-Agent-Session", default_plans: { session: "agents" }, cors: { origins: ["*"] } },
    secrets: { ADMIN_TOKEN },
  });
});

after(async () => await world.stop());

/** A client that names its session. */
function naming(client: Fetch, session: string): Fetch {
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("X-Agent-Session", session);
    return await client(input, { ...init, headers });
  };
}

const whose = async (answer: Response) => (await (await served(answer)).json() as Table)["headers"]["tollgate-client"];

test("a key's session has a plan and limits of its own, wherever it calls from", async () => {
  const { key, client } = await issue(gate, "acme");
  const run = naming(client, "run-42");
  assert.equal(await whose(await run("/echo")), "session:key:acme:run-42");
  const elsewhere = naming(bearing(gate.client(), key), "run-42");
  assert.equal(remaining(await served(await elsewhere("/echo"))), 0);
  await problem(await run("/echo"), 402, "payment-required");
  assert.equal(await whose(await naming(client, "run-43")("/echo")), "session:key:acme:run-43");
  const own = await served(await client("/echo"));
  assert.equal(remaining(own), 3, "the key's own account has the free plan, and is asked for nothing else");
  assert.equal(await whose(own), "key:acme");
});

test("the same name under another key or wallet is another session", async () => {
  const [one, other] = [await issue(gate, "one"), await issue(gate, "other")];
  const wallet = newWallet();
  const { client, denied } = await poor(gate);
  const headers = { ...signInHeader(await signIn(wallet, offerV2(denied))), "X-Agent-Session": "shared" };
  const signedIn = await served(await client("/echo", { headers }));
  const token = signedIn.headers.get("tollgate-session")!;
  const named = `session:wallet:${wallet.address.toLowerCase()}:shared`;
  assert.equal(await whose(signedIn), named);
  assert.equal(await whose(await naming(gate.client(), "shared")("/echo", { headers: { "Tollgate-Session": token } })), named);
  for (const { client, account } of [{ ...one, account: "one" }, { ...other, account: "other" }]) {
    const answer = await served(await naming(client, "shared")("/echo"));
    assert.equal(remaining(answer), 1);
    assert.equal(await whose(answer), `session:key:${account}:shared`);
  }
});

test("a name alone identifies nobody", async () => {
  const ip = freshAddress();
  for (const name of ["run-42", "not a name", "key:acme:run-42"]) {
    assert.equal(await whose(await naming(gate.client(ip), name)("/echo")), `ip:${ip}`);
  }
});

test("a name that is none is told so, and costs nothing", async () => {
  const { client } = await issue(gate, "names");
  for (const bad of ["a b", "a:b", "x".repeat(129), "one, two"]) {
    const { detail, header } = await problem(await naming(client, bad)("/echo"), 400, "bad-request");
    assert.equal(header, "x-agent-session");
    assert.match(detail, /does not name a session; send 1 to 128 letters/);
  }
  assert.equal(remaining(await served(await client("/echo"))), 3);
});

test("a revoked key opens no session", async () => {
  const { id, client } = await issue(gate, "revoked");
  await served(await client("/echo"));
  assert.equal((await order(gate, "DELETE", `/keys/${id}`)).ok, true);
  await problem(await naming(client, "new")("/echo"), 401, "unknown-key");
});

test("a session over its limit is blocked, queued or degraded as its plan says, and the owner sees each by itself", async () => {
  const { client } = await issue(gate, "seen");
  const [busy, calm] = [naming(client, "busy"), naming(client, "calm")];
  for (const path of ["/block", "/block", "/queue", "/queue", "/degrade"]) await served(await busy(path));
  await problem(await busy("/block"), 429, "rate-limited");
  assert.equal((await served(await busy("/degrade"))).headers.get("tollgate-degraded"), "true");
  await served(await calm("/block"));
  const top = await eventually("the ledger has them", async () => {
    const all = await ordered(gate, "GET", "/top?n=1000") as unknown as Table[];
    const found = all.filter(({ client }) => String(client).startsWith("session:key:seen:"));
    return found.reduce((sum, { total_requests }) => sum + total_requests, 0) === 8 ? found : undefined;
  });
  const counts = top.map(({ client, request_count, blocked_count }) => [client, request_count, blocked_count]);
  assert.deepEqual(counts, [["session:key:seen:busy", 6, 1], ["session:key:seen:calm", 1, 0]]);
  const { total_requests, total_blocked, active_clients } = await ordered(gate, "GET", "/stats");
  assert.ok(total_requests >= 8 && total_blocked >= 1 && active_clients >= 2);
  const account = encodeURIComponent("session:key:seen:busy");
  await ordered(gate, "PUT", `/accounts/${account}/plan`, { name: "free" });
  assert.equal(remaining(await served(await busy("/block"))), 3, "a session can have a plan of its own");
});

test("browsers may send the name", async () => {
  const asks = { Origin: "https://app.example.com", "Access-Control-Request-Method": "GET" };
  const answer = await gate.client()("/echo", { method: "OPTIONS", headers: asks });
  assert.match(answer.headers.get("access-control-allow-headers")!, /, x-agent-session$/);
});
