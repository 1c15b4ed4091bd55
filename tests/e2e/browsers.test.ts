// Pages of other origins: what a browser asks before it sends a request, and what it lets a page read of the answer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exhaust, poor, problem, served } from "./rig/answers.ts";
import { headerV2, offerV2, signV2 } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

const PAGE = "https://app.example";

let world: World;
let gate: Gate;

const bucket = { capacity: 4, refill_rate: 0.001 };
const PLANS: Table = {
  free: {
    endpoints: {
      "/models": { fixed_windows: [{ window: "60s", limit: 100 }, { window: "24h", limit: 40_000, unit_type: "token" }, { window: "24h", limit: 9, unit_type: "gpu-second" }] },
      "*": { bucket, over_limit: "pay", price: "0.001" },
    },
  },
};

before(async () => {
  world = await startWorld();
  gate = await world.gate({ plans: PLANS, settings: { cors: { origins: ["*"] } } });
});

after(async () => await world.stop());

/** What the contract lets a page send. */
const SENT = [
  "Content-Type", "Authorization", "PAYMENT-SIGNATURE", "X-PAYMENT", "SIGN-IN-WITH-X", "Accept-Payment", "Payment-Authorization", "Payment-Session",
  "Idempotency-Key", "Tollgate-Session", "Access-Control-Expose-Headers",
];

const list = (response: Response, name: string): string[] => (response.headers.get(name) ?? "").split(",").map((each) => each.trim().toLowerCase());

async function preflight(of: Gate, path: string, method: string, client = of.client()): Promise<Response> {
  const headers = { Origin: PAGE, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "payment-signature,content-type" };
  return await client(path, { method: "OPTIONS", headers });
}

for (const [path, method] of [["/cpu", "GET"], ["/anything/else", "DELETE"], ["/_tollgate/usage", "GET"]] as const) {
  test(`a preflight for ${method} ${path} is answered first, free, and without the origin`, async () => {
    const seen = world.origin.seen.length;
    const client = gate.client();
    for (let count = 0; count < 6; count += 1) {
      const answer = await preflight(gate, path, method, client);
      assert.equal(answer.status, 204);
      assert.equal(answer.headers.get("access-control-allow-origin"), "*");
      assert.ok(list(answer, "access-control-allow-methods").includes(method.toLowerCase()));
      for (const name of SENT) assert.ok(list(answer, "access-control-allow-headers").includes(name.toLowerCase()), name);
      assert.ok(answer.headers.has("tollgate-request-id"));
    }
    assert.equal(world.origin.seen.length, seen);
    await exhaust(client);
  });
}

test("an OPTIONS that is no preflight is a request like any other", async () => {
  const client = gate.client();
  await exhaust(client);
  assert.equal((await client("/cpu", { method: "OPTIONS", headers: { Origin: PAGE } })).status, 402);
});

/** Asserts that a page may read every field that the gate sends beyond those that any page may read. */
function readable(answer: Response): void {
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  assert.ok(list(answer, "vary").includes("origin"));
  const exposed = list(answer, "access-control-expose-headers");
  const ours = [...answer.headers.keys()].filter((name) => /^(payment|x-payment|x-402|tollgate|ratelimit|x-ratelimit|retry|www-auth)/.test(name));
  assert.deepEqual(ours.filter((name) => !exposed.includes(name)), []);
}

test("a page may read the offer, the receipt, the session and where every limit stands", async () => {
  const { client } = await poor(gate);
  const denied = await client("/cpu", { headers: { Origin: PAGE } });
  readable(denied);
  assert.ok(denied.headers.has("www-authenticate") && denied.headers.has("retry-after"));
  const payment = headerV2(await signV2(await world.chain.wallet(), offerV2(denied)));
  const paid = await served(await client("/cpu", { headers: { Origin: PAGE, ...payment } }));
  readable(paid);
  for (const name of ["payment-response", "x-402-receipt", "tollgate-session"]) assert.ok(paid.headers.has(name), name);
  const models = await served(await gate.client()("/models", { headers: { Origin: PAGE } }));
  readable(models);
  for (const unit of ["token", "gpu-second"]) assert.ok(models.headers.has(`x-ratelimit-limit-${unit}`), unit);
});

test("errors and the gate's own endpoints may be read as well", async () => {
  const client = gate.client();
  for (const path of ["/_tollgate/limits", "/_tollgate/receipts/rcpt_0", "/_tollgate/nonsense", "/a%2Fb"]) {
    readable(await client(path, { headers: { Origin: PAGE } }));
  }
});

test("only pages that the owner names may read", async () => {
  const strict = await world.gate({ settings: { cors: { origins: [PAGE] } } });
  const listed = await strict.client()("/cpu", { headers: { Origin: PAGE } });
  assert.equal(listed.headers.get("access-control-allow-origin"), PAGE);
  for (const origin of ["https://evil.example", "null", `${PAGE}.evil.example`, "http://app.example"]) {
    const answer = await strict.client()("/cpu", { headers: { Origin: origin } });
    assert.equal(answer.headers.get("access-control-allow-origin"), null, origin);
  }
  await strict.stop();
});

test("without `cors` there are no CORS fields of ours, and a preflight is the origin's", async () => {
  const plain = await world.gate();
  const seen = world.origin.seen.length;
  const answer = await preflight(plain, "/cpu", "GET");
  assert.equal(answer.headers.has("access-control-allow-origin"), false);
  assert.equal(world.origin.seen.at(-1)!.method, "OPTIONS");
  assert.equal(world.origin.seen.length, seen + 1);
  await plain.stop();
});

test("`cors` without origins, or with what is none, is a misconfigured gate", async () => {
  for (const cors of [{}, { origins: "*" }, { origin: ["*"] }]) {
    const wrong = await world.gate({ settings: { cors } });
    assert.match((await problem(await wrong.client()("/cpu"), 500, "misconfigured"))["detail"], /cors/);
    await wrong.stop();
  }
});
