// What a client may choose, and what it may not: amounts, times, domains, resources, paths, headers. Nothing that it says of
// what it bought is believed. The numbers are those of the list in docs/security.md.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { PaymentPayload } from "@x402/core/types";
import { exactly, exhaust, poor, problem, refusal, served } from "./rig/answers.ts";
import { DOMAIN, authorization, signTransfer } from "./rig/by_hand.ts";
import type { Authorization } from "./rig/by_hand.ts";
import type { Wallet } from "./rig/chain.ts";
import { headerV2, offerV2, payingV2, signIn, signInHeader, signV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { answerOf } from "./rig/mpp.ts";
import { issue, order } from "./rig/owner.ts";
import { serve } from "./rig/server.ts";
import { getByHand } from "./rig/wire.ts";
import { PAYEE, bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

const bucket = { capacity: 4, refill_rate: 0.001 };

const PLANS: Table = {
  free: {
    endpoints: {
      "/dear": { bucket, over_limit: "pay", price: "0.01" },
      "/secret": { payment: "always", price: "0.05" },
      "*": { bucket, over_limit: "pay", price: "0.001" },
    },
  },
};

before(async () => {
  world = await startWorld();
  gate = await world.gate({ plans: PLANS });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

const asked = (): number => world.facilitator.calls.verify.length + world.facilitator.calls.settle.length;

/** A payment for the offer of a 402, with changes to what is signed. */
async function payment(wallet: Wallet, denied: Response, changes: Partial<Authorization> = {}, domain = DOMAIN): Promise<PaymentPayload> {
  const offer = offerV2(denied);
  const accepted = offer.accepts[0]!;
  const message = authorization(wallet, accepted.payTo, accepted.amount, changes);
  const signature = await signTransfer(wallet, message, domain);
  return { x402Version: 2, resource: offer.resource, accepted, payload: { signature, authorization: message } } as PaymentPayload;
}

const now = () => Math.floor(Date.now() / 1000);

for (const [number, what, changes] of [
  ["#6", "less than the price", () => ({ value: "999" })],
  ["#6", "more than the price", () => ({ value: "1001" })],
  ["#6", "somebody else", () => ({ to: "0x000000000000000000000000000000000000dEaD" as const })],
  ["#7", "until a moment ago", () => ({ validBefore: String(now() - 1) })],
  ["#7", "for a second more", () => ({ validBefore: String(now() + 1) })],
  ["#7", "not yet", () => ({ validAfter: String(now() + 600) })],
] as const) {
  test(`6.3 ${number} an authorization that pays ${what} is refused in both versions, and nobody is asked`, async () => {
    const { client, denied } = await poor(gate);
    const wallet = await world.chain.wallet();
    const v2 = await payment(wallet, denied, changes());
    const v1 = { x402Version: 1, scheme: "exact", network: "base-sepolia", payload: v2.payload };
    await refusal(await client("/cpu", { headers: headerV2(v2) }));
    await refusal(await client("/cpu", { headers: { "X-PAYMENT": Buffer.from(JSON.stringify(v1)).toString("base64") } }));
    assert.equal(asked(), 0);
    await exactly(client, 0);
  });
}

test("6.3 #7 an authorization that was signed long ago is good once, while it is good", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  const old = await payment(wallet, denied, { validAfter: String(now() - 86_400), validBefore: String(now() + 86_400) });
  await served(await client("/cpu", { headers: headerV2(old) }));
  await exactly(client, 3);
  await problem(await client("/cpu", { headers: headerV2(old) }), 409, "payment-used");
});

for (const [what, change] of [
  ["name", { name: "USD Coin" }],
  ["version", { version: "1" }],
  ["chain", { chainId: 8453 }],
  ["contract", { verifyingContract: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913" as const }],
] as const) {
  test(`6.3 #8 a signature under another ${what} pays nothing`, async () => {
    const { client, denied } = await poor(gate);
    const wallet = await world.chain.wallet();
    await refusal(await client("/cpu", { headers: headerV2(await payment(wallet, denied, {}, { ...DOMAIN, ...change })) }));
    assert.equal(world.facilitator.calls.settle.length, 0);
    await exactly(client, 0);
    assert.equal(await world.chain.balance(wallet.address), 1_000_000n);
  });
}

test("6.3 #9 #10 what is paid for is the route that is called: neither a cheaper offer nor a resource that the client names opens a dearer one", async () => {
  const cheap = await poor(gate);
  const { client } = cheap;
  await exhaust(client, "/dear");
  const wallet = await world.chain.wallet();
  const bought: any = await signV2(wallet, offerV2(cheap.denied));
  for (const url of [gate.at("/dear"), gate.at("/cpu")]) {
    await refusal(await client("/dear", { headers: headerV2({ ...bought, resource: { ...bought.resource, url } }) }));
    await refusal(await client("/secret", { headers: headerV2({ ...bought, resource: { ...bought.resource, url } }) }));
  }
  assert.equal(asked(), 0);
  // Paid where it belongs, under the name of the other: it counts where it was paid, and there alone.
  await served(await client("/cpu", { headers: headerV2({ ...bought, resource: { ...bought.resource, url: gate.at("/dear") } }) }));
  await exactly(client, 0, "/dear");
  await exactly(client, 3);
});

test("6.3 #10 #20 forwarding headers and trust headers change neither the offer nor the account", async () => {
  const { client } = await poor(gate);
  const forged = {
    // X-Forwarded-Proto is not among them: Miniflare itself takes the scheme of a request from it.
    "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Forwarded-For": "192.0.2.1",
    "X-Pay-Verified": "true", "PAYMENT-RESPONSE": "e30=", "X-402-Receipt": "e30=", "Tollgate-Client": "key:rich",
  };
  const denied = await client("/cpu", { headers: forged });
  assert.equal(denied.status, 402);
  assert.equal(offerV2(denied).resource!.url, gate.at("/cpu"));
});

test("6.3 #16 a method override changes neither the limit nor the method", async () => {
  const { client } = await poor(gate);
  for (const name of ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"]) {
    assert.equal((await client("/cpu", { method: "POST", headers: { [name]: "OPTIONS" } })).status, 402);
  }
});

test("6.3 #16 header names count in any case, and a payment beside another is none", async () => {
  const { client, denied } = await poor(gate);
  const [value] = Object.values(headerV2(await signV2(await world.chain.wallet(), offerV2(denied))));
  for (const [first, second] of [["payment-signature", "X-PAYMENT"], ["PAYMENT-SIGNATURE", "payment-authorization"], ["x-payment", "Payment-Authorization"]] as const) {
    await problem(await client("/cpu", { headers: { [first]: value!, [second]: value! } }), 400, "bad-payment");
  }
  await served(await client("/cpu", { headers: { "payment-signature": value! } }));
});

test("6.3 #19 a shared cache has no leave to keep a paid answer, whatever the origin says", async () => {
  const { client } = await poor(gate, "/public");
  const paying = payingV2(client, await world.chain.wallet());
  // The answer that the payment came with, one that its tokens are spent on, and one of a call that is sold.
  const paid = [await paying(gate.at("/public")), await client("/public"), await client("/public", { method: "HEAD" }), await sold()];
  for (const answer of paid) {
    const directives = ((await served(answer)).headers.get("cache-control") ?? "").split(",").map((directive) => directive.trim());
    assert.ok(directives.includes("private"), directives.join());
    for (const leave of ["public", "s-maxage=600"]) assert.equal(directives.includes(leave), false, leave);
    // Caches obey these first (RFC 9213).
    for (const name of ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "x-accel-expires"]) {
      assert.equal(answer.headers.has(name), false, name);
    }
  }
  const unpaid = await poor(gate, "/public");
  assert.equal((await unpaid.client("/public")).headers.get("cache-control"), "no-store");
  assert.equal((await unpaid.client("/secret")).headers.get("cache-control"), "no-store");
});

/** The answer to a call that is sold, whose origin would have it kept by everybody. */
async function sold(): Promise<Response> {
  const selling = await world.gate({ plans: { free: { endpoints: { "*": { payment: "always", price: "0.01" } } } } });
  const client = selling.client();
  const answer = await payingV2(client, await world.chain.wallet())(selling.at("/public"));
  await selling.stop();
  return answer;
}

/** Ways to write /secret, or to hide it. */
const HIDDEN = [
  "/a/../secret", "/./secret", "//secret", "/secret/", "/secret.", "/SECRET", "/secret;x", "/%73ecret", "/%2573ecret", "/secret%2F", "/secret%00",
  "/a/%2e%2e/secret", "/a%2f..%2fsecret", "/a\\..\\secret", "/a%5c..%5csecret", "/\\secret", "/secret%", "/secret%zz", "/sécret", "/secret?x=/free", "/secret#x",
];

test("6.3 #21 no way to write a path gets the origin asked for one that was not decided about", async () => {
  const seen = world.origin.seen.length;
  for (const path of HIDDEN) await getByHand(gate, path);
  const reached = world.origin.seen.slice(seen).map(({ url }) => url);
  for (const url of reached) {
    const plain = decodeURIComponent(new URL(`http://origin${url}`).pathname).replaceAll("\\", "/");
    assert.notEqual(new URL(`http://origin${plain}`).pathname, "/secret", `${url} is to be paid`);
  }
});

for (const [what, endpoint] of [
  ["zero", { price: "0" }],
  ["negative", { price: "-0.001" }],
  ["finer than the token", { price: "0.0000001" }],
  ["a number", { price: 0.001 }],
  ["more than there is", { price: "340282366920938463463374607431768211456" }],
] as const) {
  test(`6.3 #25 a price that is ${what} is refused before a request is served`, async () => {
    const wrong = await world.gate({ plans: bucketPlan(endpoint) });
    assert.match((await problem(await wrong.client()("/cpu"), 500, "misconfigured"))["detail"], /price/);
    await wrong.stop();
  });
}

test("6.3 #26 no URL that a client names is ever fetched", async () => {
  let visits = 0;
  const trap = await serve((_, response) => {
    visits += 1;
    response.end("{}");
  });
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  const named: any = await payment(wallet, denied);
  named.resource = { url: `${trap.url}/resource` };
  named.extensions = { "sign-in-with-x": { info: { uri: trap.url } }, "bazaar": { info: { url: trap.url } } };
  await client("/cpu", { headers: { ...headerV2(named), "X-Forwarded-Host": new URL(trap.url).host, Origin: trap.url, Referer: trap.url } });
  const factory: any = await payment(wallet, denied);
  factory.payload.signature = `0x${"00".repeat(12)}${"ab".repeat(20)}${"00".repeat(96)}${"6492".repeat(16)}`;
  factory.resource = { url: `${trap.url}/factory` };
  await client("/cpu", { headers: headerV2(factory) });
  assert.equal(visits, 0);
  await trap.stop();
});

test("6.3 #28 neither logs nor answers nor the ledger hold what could be used again", async () => {
  const keys = { RECEIPT_SIGNING_KEY: "31".repeat(32), SESSION_KEY: "32".repeat(32), FACILITATOR_TOKEN: "facilitator-token-of-the-owner", ADMIN_TOKEN };
  const told = await world.gate({ secrets: keys, payment: { facilitators: [{ url: world.facilitator.url, auth: "bearer" }] } });
  const { client, denied } = await poor(told);
  const sent: any = await payment(await world.chain.wallet(), denied);
  const paid = await served(await client("/cpu", { headers: headerV2(sent) }));
  const session = paid.headers.get("tollgate-session")!;
  const bad: any = structuredClone(sent);
  bad.accepted.amount = "1";
  const answers = [await (await client("/cpu", { headers: headerV2(bad) })).text()];
  await exactly(client, 2);
  answers.push(await (await client("/cpu", { headers: headerV2(sent) })).text());
  // What comes in other fields, right and wrong: a key, a sign-in, a credential of MPP, the owner's token.
  const { key, client: keyed } = await issue(told, "key:acme");
  await served(await keyed("/cpu"));
  const other = await poor(told);
  const signed = Object.values(signInHeader(await signIn(await world.chain.wallet(), offerV2(other.denied))))[0]!;
  const credential = (await answerOf(await world.chain.wallet(), other.denied, "evm")).split(" ")[1]!;
  for (const headers of [{ "SIGN-IN-WITH-X": signed }, { "SIGN-IN-WITH-X": signed }, { Authorization: `Payment ${credential.slice(0, -8)}` }, { Authorization: `Payment ${credential}` }]) {
    answers.push(await (await other.client("/cpu", { headers })).text());
  }
  answers.push(await (await order(told, "GET", "/plans", { token: `${ADMIN_TOKEN}x` })).text());
  answers.push(await (await told.client()("/cpu", { headers: { Authorization: `Bearer ${key}x` } })).text());
  const tables = await told.ledger("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'");
  const rows = await Promise.all(tables.map(({ name }) => told.ledger(`SELECT * FROM "${name}"`)));
  assert.ok(rows.flat().length >= 4, "a key, a payment and the owner's orders are in the ledger");
  const text = JSON.stringify([told.logs, answers, rows, await told.receipts()]);
  for (const secret of [sent.payload.signature.slice(2), session, key, signed, credential, ADMIN_TOKEN, ...Object.values(keys), Object.values(headerV2(sent))[0]!]) {
    assert.equal(text.includes(secret), false, secret);
  }
  await told.stop();
});

test("6.3 #29 a receipt cannot be made to end before KV can forget it", async () => {
  const short = await world.gate({ settings: { receipt_ttl: "59s" } });
  assert.match((await problem(await short.client()("/cpu"), 500, "misconfigured"))["detail"], /receipt_ttl/);
  await short.stop();
});
