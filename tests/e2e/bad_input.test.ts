// Input that cannot be right, from clients and from the owner: it is named and explained, and nothing is forwarded, verified or
// settled because of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { poor, problem } from "./rig/answers.ts";
import { headerV2, offerV2, signV2 } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { getByHand } from "./rig/wire.ts";
import { bucketPlan, startShared } from "./rig/world.ts";

const { world, gate } = await startShared();

const base64 = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64");

const UNREADABLE: [string, string, string][] = [
  ["is not base64", "PAYMENT-SIGNATURE", "%%%"],
  ["is base64url", "PAYMENT-SIGNATURE", "eyJ4Ijoi_-8ifQ"],
  ["is not JSON", "PAYMENT-SIGNATURE", base64("not json")],
  ["is JSON but no object", "PAYMENT-SIGNATURE", base64([1, 2])],
  ["is an empty object", "PAYMENT-SIGNATURE", base64({})],
  ["says the other version", "PAYMENT-SIGNATURE", base64({ x402Version: 1, scheme: "exact", network: "base-sepolia", payload: {} })],
  ["is over 16 kB", "PAYMENT-SIGNATURE", base64({ x402Version: 2, filler: "x".repeat(16 * 1024) })],
  ["is nested too deeply", "PAYMENT-SIGNATURE", base64("[".repeat(6000) + "]".repeat(6000))],
  ["is not base64", "X-PAYMENT", "%%%"],
  ["is not JSON", "X-PAYMENT", base64("{")],
  ["is over 16 kB", "X-PAYMENT", base64({ x402Version: 1, filler: "x".repeat(16 * 1024) })],
];

for (const [what, name, value] of UNREADABLE) {
  test(`6.3 #17 ${name} that ${what}: 400 that names the header`, async () => {
    const { client } = await poor(gate);
    const before = world.origin.seen.length;
    const body = await problem(await client("/cpu", { headers: { [name]: value } }), 400, "bad-payment");
    assert.match(body["detail"], new RegExp(name, "i"));
    assert.equal(world.facilitator.calls.verify.length, 0);
    assert.equal(world.origin.seen.length, before);
  });
}

test("6.3 #16 two payment headers, of one version or of both: 400 that names them", async () => {
  const { client, denied } = await poor(gate);
  const headers = headerV2(await signV2(await world.chain.wallet(), offerV2(denied)));
  const value = headers["PAYMENT-SIGNATURE"]!;
  const twice = await problem(await client("/cpu", { headers: [["PAYMENT-SIGNATURE", value], ["PAYMENT-SIGNATURE", value]] }), 400, "bad-payment");
  assert.match(twice["detail"], /PAYMENT-SIGNATURE/i);
  const both = await problem(await client("/cpu", { headers: { ...headers, "X-PAYMENT": value } }), 400, "bad-payment");
  assert.match(both["detail"], /PAYMENT-SIGNATURE|X-PAYMENT/i);
  assert.equal(world.facilitator.calls.verify.length, 0);
});

test("with tokens left a payment header is not looked at, however bad it is", async () => {
  const response = await gate.client()("/cpu", { headers: { "PAYMENT-SIGNATURE": "%%%" } });
  assert.equal(response.status, 200);
});

for (const path of ["/a%2Fb", "/a%5Cb", "/a%2fb", "/a/%zz", "/a/%", "/a/%4"]) {
  test(`6.3 #21 a path that can be read in two ways (${path}) is 400 and is not forwarded`, async () => {
    const before = world.origin.seen.length;
    // `fetch` would tidy some of these up.
    const { status, body } = await getByHand(gate, path);
    assert.equal(status, 400, body);
    assert.match(body, /\/problems\/bad-path"/);
    assert.equal(world.origin.seen.length, before);
  });
}

/** Settings that cannot be used, and the name that the answer has to say. */
const SETTINGS: [string, Table, RegExp][] = [
  ["is unknown", { orgin: "http://127.0.0.1:1" }, /orgin/],
  ["is missing", { origin: undefined }, /origin/],
  ["is no URL", { origin: "api.example.com" }, /origin/],
  ["is plain http for another host", { origin: "http://api.example.com" }, /origin/],
  ["is no duration", { origin_timeout: "soon" }, /origin_timeout/],
  ["is no size", { max_body: "much" }, /max_body/],
  ["names a plan that is not there", { default_plan: "gold" }, /default_plan.*gold|gold.*default_plan/],
  ["has the wrong type", { refund_on_error: "yes" }, /refund_on_error/],
];

for (const [what, settings, name] of SETTINGS) {
  test(`a setting that ${what} (${JSON.stringify(settings)}) makes every answer a 500 that names it`, async () => {
    await misconfigured(await world.gate({ settings }), name);
  });
}

const PAYMENT_SETTINGS: [string, Table, RegExp][] = [
  ["is no address", { pay_to: "0x1234" }, /pay_to/],
  ["has a digit mistyped", { pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287D" }, /pay_to.*checksum/],
  ["has a digit of an offer's mistyped", { offers: [{ network: "base", pay_to: "0x209693bc6afc0C5328bA36FaF03C514EF312287C" }] }, /offers\[0\]\.pay_to.*checksum/],
  ["has a digit of its asset mistyped", { asset: { address: "0x036CbD53842c5426634e7929541eC2318f3dCF7E", name: "USDC", version: "2", decimals: 6 } }, /asset\.address.*checksum/],
  ["is no network", { network: "base-saturn" }, /network/],
  ["is empty", { facilitators: [] }, /facilitators/],
  ["is misspelt", { pay_too: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C" }, /pay_too/],
];

for (const [what, payment, name] of PAYMENT_SETTINGS) {
  test(`a payment setting that ${what} (${JSON.stringify(payment)}) makes every answer a 500 that names it`, async () => {
    await misconfigured(await world.gate({ payment }), name);
  });
}

const PLANS: [string, Table, RegExp][] = [
  ["a price that is no amount", { price: "cheap" }, /price/],
  ["a price finer than the asset", { price: "0.0000001" }, /price/],
  ["a negative capacity", { bucket: { capacity: -1, refill_rate: 4 } }, /capacity/],
  ["an unknown field", { refil: 4 }, /refil/],
  ["an unknown way over the limit", { over_limit: "beg" }, /over_limit/],
];

for (const [what, endpoint, name] of PLANS) {
  test(`a plan with ${what} makes every answer a 500 that names it`, async () => {
    await misconfigured(await world.gate({ plans: bucketPlan(endpoint) }), name);
  });
}

for (const secret of ["RECEIPT_SIGNING_KEY", "SESSION_KEY"]) {
  test(`payment without ${secret} makes every answer a 500 that names it, and one that is too short as well`, async () => {
    await misconfigured(await world.gate({ secrets: { [secret]: undefined } }), new RegExp(secret));
    const short = await world.gate({ secrets: { [secret]: "0xabcd" } });
    const body = await misconfigured(short, new RegExp(secret));
    assert.equal(JSON.stringify(body).includes("abcd"), false, "a secret is never shown");
  });
}

async function misconfigured(gate: Gate, name: RegExp): Promise<Table> {
  const before = world.origin.seen.length;
  const body = await problem(await gate.client()("/cpu"), 500, "misconfigured");
  assert.match(body["detail"], name);
  assert.equal(world.origin.seen.length, before);
  await gate.stop();
  return body;
}
