// The one 402 that serves the stock clients of both x402 versions, and the headers that every limited answer carries.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PaymentRequiredV2Schema } from "@x402/core/schemas";
import { PaymentRequirementsSchema } from "x402/types";
import { exhaust, poor, problem, remaining, retryAfter, served, whole } from "./rig/answers.ts";
import { USDC } from "./rig/chain.ts";
import { offerV2 } from "./rig/clients.ts";
import type { Gate } from "./rig/gate.ts";
import { PAYEE, bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate();
});

after(async () => await world.stop());

test("the v2 header is what the v2 client's own schema accepts, to the last field", async () => {
  const { denied } = await poor(gate);
  const offer = PaymentRequiredV2Schema.parse(offerV2(denied));
  assert.equal(offer.x402Version, 2);
  assert.equal(offer.resource.url, gate.at("/cpu"));
  const { extra, ...requirement } = offer.accepts[0]!;
  assert.deepEqual(requirement, {
    scheme: "exact",
    network: "eip155:84532",
    amount: "1000",
    asset: USDC,
    payTo: PAYEE,
    maxTimeoutSeconds: 60,
  });
  assert.equal(extra!["name"], "USDC");
  assert.equal(extra!["version"], "2");
});

test("the body is a problem and a v1 challenge that the v1 client's own schema accepts, at once", async () => {
  const { denied } = await poor(gate);
  const body = await problem(denied, 402, "payment-required");
  assert.equal(body["x402Version"], 1);
  assert.equal(typeof body["error"], "string");
  const [requirement, ...others] = body["accepts"].map((entry: unknown) => PaymentRequirementsSchema.parse(entry));
  assert.deepEqual(others, []);
  assert.equal(requirement.scheme, "exact");
  assert.equal(requirement.network, "base-sepolia");
  assert.equal(requirement.maxAmountRequired, "1000");
  assert.equal(requirement.resource, gate.at("/cpu"));
  assert.equal(requirement.payTo, PAYEE);
  assert.equal(requirement.asset, USDC);
  assert.equal(requirement.maxTimeoutSeconds, 60);
  assert.equal(requirement.extra.name, "USDC");
  assert.equal(requirement.extra.version, "2");
});

test("6.3 #19 no cache keeps a 402", async () => {
  const { denied } = await poor(gate);
  assert.equal(denied.headers.get("cache-control"), "no-store");
});

test("6.3 #10 neither host nor scheme of the offer can be chosen with forwarding headers", async () => {
  const { client } = await poor(gate);
  const denied = await client("/cpu", { headers: { "X-Forwarded-Host": "evil.example" } });
  assert.equal(offerV2(denied).resource!.url, gate.at("/cpu"));
});

test("served and denied answers say where the limit stands", async () => {
  const client = gate.client();
  const first = await served(await client("/cpu"));
  assertLimits(first, 3);
  for (let left = 2; left >= 0; left -= 1) await client("/cpu");
  const denied = await client("/cpu");
  assertLimits(denied, 0);
  assert.ok(retryAfter(denied) >= 1);
});

function assertLimits(response: Response, left: number): void {
  assert.equal(whole(response, "x-ratelimit-limit"), 4);
  assert.equal(remaining(response), left);
  // The bucket is whole again when the missing tokens have come back at 0.001 a second; and time is in whole seconds.
  const whenWhole = Date.now() / 1000 + (4 - left) * 1000;
  assert.ok(Math.abs(whole(response, "x-ratelimit-reset") - whenWhole) < 20, response.headers.get("x-ratelimit-reset")!);
  // draft-ietf-httpapi-ratelimit-headers: items of structured fields, each a quoted policy name with parameters.
  assert.match(response.headers.get("ratelimit-policy") ?? "", /^"[^"]+";q=4(;|$)/);
  assert.match(response.headers.get("ratelimit") ?? "", new RegExp(`^"[^"]+";r=${left};t=\\d+$`));
  assert.match(response.headers.get("tollgate-request-id") ?? "", /^\S{8,}$/);
}

for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
  test(`6.3 #16 ${method} is limited like every other method`, async () => {
    const client = gate.client();
    for (let left = 3; left >= 0; left -= 1) assert.equal(remaining(await served(await client("/cpu", { method }))), left);
    const denied = await client("/cpu", { method });
    assert.equal(denied.status, 402);
    assert.ok(denied.headers.has("payment-required"));
    assert.equal((await denied.text()).length > 0, method !== "HEAD");
  });
}

test("methods share one bucket where the plan does not tell them apart", async () => {
  const client = gate.client();
  for (const method of ["GET", "HEAD", "POST", "DELETE"]) await served(await client("/cpu", { method }));
  assert.equal((await client("/cpu")).status, 402);
});

test("where the plan blocks, the answer is 429 and nothing is for sale", async () => {
  const blocking = await world.gate({ plans: bucketPlan({ over_limit: "block", price: undefined }) });
  const client = blocking.client();
  await exhaust(client);
  const denied = await client("/cpu");
  assert.equal(denied.headers.has("payment-required"), false);
  assertLimits(denied, 0);
  assert.ok(retryAfter(denied) > 900);
  const body = await problem(denied, 429, "rate-limited");
  assert.equal(body["accepts"], undefined);
  await blocking.stop();
});

test("without payment settings a plan that says `pay` blocks", async () => {
  const free = await world.gate({ settings: { payment: undefined }, secrets: { RECEIPT_SIGNING_KEY: undefined, SESSION_KEY: undefined } });
  const client = free.client();
  await exhaust(client);
  await problem(await client("/cpu"), 429, "rate-limited");
  await free.stop();
});

test("an endpoint that the plan does not list is refused and named", async () => {
  const listed = await world.gate({
    plans: { free: { name: "Free", endpoints: { "GET /cpu": { bucket: { capacity: 4, refill_rate: 0.001 } } } } },
  });
  const before = world.origin.seen.length;
  const body = await problem(await listed.client()("/secret"), 403, "no-access");
  assert.match(body["detail"], /^no access to endpoint: .*\/secret/);
  assert.equal(world.origin.seen.length, before);
  await listed.stop();
});

test("the most specific endpoint of the plan decides, and each has its own bucket", async () => {
  const plans = {
    free: {
      name: "Free",
      endpoints: {
        "POST /cpu": { bucket: { capacity: 1, refill_rate: 0.001 }, over_limit: "pay", price: "0.005" },
        "/cpu": { bucket: { capacity: 2, refill_rate: 0.001 }, over_limit: "pay", price: "0.004" },
        "/cpu/*": { bucket: { capacity: 3, refill_rate: 0.001 }, over_limit: "pay", price: "0.003" },
        "*": { bucket: { capacity: 4, refill_rate: 0.001 }, over_limit: "pay", price: "0.002" },
      },
    },
  };
  const specific = await world.gate({ plans });
  const client = specific.client();
  const cases = [["POST", "/cpu", 1, "5000"], ["GET", "/cpu", 2, "4000"], ["GET", "/cpu/deep/er", 3, "3000"], ["GET", "/else", 4, "2000"]] as const;
  for (const [method, path, capacity, amount] of cases) {
    for (let count = 0; count < capacity; count += 1) await served(await client(path, { method }));
    const denied = await client(path, { method });
    assert.equal(denied.status, 402);
    assert.equal(whole(denied, "x-ratelimit-limit"), capacity);
    assert.equal(offerV2(denied).accepts[0]!.amount, amount);
  }
  await specific.stop();
});
