// One payment sent again: in every form and encoding, at once, to other places, and after a death at each step of a call.
// The numbers are those of the list in docs/security.md.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import type { PaymentPayload } from "@x402/core/types";
import { exactly, poor, problem, refusal, served, unavailable } from "./rig/answers.ts";
import { authorization, carryOut, signTransfer } from "./rig/by_hand.ts";
import { headerV2, offerV2, payingV2, signV2 } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { forwardThen, honest } from "./rig/faulty_facilitator.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { answerOf } from "./rig/mpp.ts";
import { PAYEE, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate({ payment: { rpc: world.chain.url } });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

const base64 = (value: unknown, spaces?: number) => Buffer.from(JSON.stringify(value, null, spaces)).toString("base64");

/** The members of an object in the opposite order. */
const reversed = (value: object): Table => Object.fromEntries(Object.entries(value).reverse());

/** The same authorization in every form that may be accepted: both versions, other spacing, order and case. */
function spellings(payment: PaymentPayload): Record<string, string>[] {
  const v1 = { x402Version: 1, scheme: "exact", network: "base-sepolia", payload: payment.payload };
  const lower: any = structuredClone(payment);
  lower.payload.authorization.from = lower.payload.authorization.from.toLowerCase();
  const upper: any = structuredClone(payment);
  upper.payload.authorization.nonce = `0x${upper.payload.authorization.nonce.slice(2).toUpperCase()}`;
  return [
    headerV2(payment),
    { "PAYMENT-SIGNATURE": base64(payment, 2) },
    { "PAYMENT-SIGNATURE": base64(reversed(payment)) },
    { "PAYMENT-SIGNATURE": base64(lower) },
    { "PAYMENT-SIGNATURE": base64(upper) },
    { "PAYMENT-SIGNATURE": base64({ ...payment, resource: { url: "https://elsewhere.example/" } }) },
    { "X-PAYMENT": base64(v1) },
    { "X-PAYMENT": base64(reversed(v1), 1) },
  ];
}

test("6.3 #2 #3 #4 one authorization as v1, v2 and MPP, in any encoding, fifty times at once, settles once, credits once, and calls the origin no oftener than tokens allow", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  // An MPP credential fixes the nonce, so that the others are made of what it signed.
  const sent = await answerOf(wallet, denied.clone(), "evm");
  const { payload } = JSON.parse(Buffer.from(sent.split(" ")[1]!, "base64url").toString("utf8"));
  const { from, to, value, validAfter, validBefore, nonce, signature } = payload;
  const offer = offerV2(denied);
  const message = { from, to, value, validAfter, validBefore, nonce };
  const payment = { x402Version: 2, resource: offer.resource, accepted: offer.accepts[0], payload: { signature, authorization: message } } as PaymentPayload;
  const forms = [{ Authorization: sent }, ...spellings(payment)];
  const seen = world.origin.seen.length;
  const answers = await Promise.all(Array.from({ length: 50 }, (_, nth) => client("/cpu", { headers: forms[nth % forms.length]! })));
  const admitted = answers.filter(({ status }) => status === 200).length;
  for (const { status } of answers) assert.ok([200, 400, 402, 409, 503].includes(status), `status ${status}`);
  assert.ok(admitted >= 1 && admitted <= 4, `${admitted} admitted`);
  assert.equal(world.origin.seen.length - seen, admitted);
  assert.equal(world.facilitator.calls.settle.length, 1);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
  await exactly(client, 4 - admitted);
  assert.equal((await gate.ledger("SELECT * FROM payments WHERE lower(payer) = ?", wallet.address.toLowerCase())).length, 1);
});

/** Spellings that the chain takes for the same and nobody may send: each would be a way around a list of what was seen. */
const NOT_CANONICAL: [string, (authorization: any, payload: any) => void][] = [
  ["a value in hexadecimal", (it) => { it.value = "0x3e8"; }],
  ["a value with a leading zero", (it) => { it.value = "01000"; }],
  ["a value that is a number", (it) => { it.value = 1000; }],
  ["a value with spaces", (it) => { it.value = " 1000 "; }],
  ["a value with a sign", (it) => { it.value = "+1000"; }],
  ["a time with a leading zero", (it) => { it.validBefore = `0${it.validBefore}`; }],
  ["a nonce without 0x", (it) => { it.nonce = it.nonce.slice(2); }],
  ["a nonce that is too short", (it) => { it.nonce = "0x01"; }],
  ["a nonce with 0X", (it) => { it.nonce = `0X${it.nonce.slice(2)}`; }],
  ["a member too many", (it) => { it.extra = "1"; }],
  ["no authorization", (_, payload) => { delete payload.authorization; }],
];

test("6.3 #4 spellings that are not canonical are refused before the facilitator, and the payment is good afterwards", async () => {
  const { client, denied } = await poor(gate);
  const payment = await signV2(await world.chain.wallet(), offerV2(denied));
  for (const [what, change] of NOT_CANONICAL) {
    const copy: any = structuredClone(payment);
    change(copy.payload.authorization, copy.payload);
    const { status } = await client("/cpu", { headers: { "PAYMENT-SIGNATURE": base64(copy) } });
    assert.ok([400, 402].includes(status), `${what}: ${status}`);
  }
  for (const value of [base64(payment).replaceAll("=", ""), `${base64(payment)} `.trimEnd() + "=", Buffer.from(JSON.stringify(payment)).toString("base64url") + "-_"]) {
    if (value === base64(payment)) continue;
    await problem(await client("/cpu", { headers: { "PAYMENT-SIGNATURE": value } }), 400, "bad-payment");
  }
  assert.equal(world.facilitator.calls.verify.length, 0);
  await served(await client("/cpu", { headers: headerV2(payment) }));
  await exactly(client, 3);
});

test("6.3 #4 a malleated signature is no second payment", async () => {
  const { client, denied } = await poor(gate);
  const payment = await signV2(await world.chain.wallet(), offerV2(denied));
  await served(await client("/cpu", { headers: headerV2(payment) }));
  await exactly(client, 3);
  const twin: any = structuredClone(payment);
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const signature: string = twin.payload.signature;
  const s = (order - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, "0");
  twin.payload.signature = `${signature.slice(0, 66)}${s}${signature.endsWith("1b") ? "1c" : "1b"}`;
  await problem(await client("/cpu", { headers: headerV2(twin) }), 409, "payment-used");
  assert.equal(world.facilitator.calls.settle.length, 1);
});

test("6.3 #27 an authorization that somebody carries out before us is not lost: the chain says that we were paid", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  const payment = await signV2(wallet, offerV2(denied));
  world.facilitator.next("settle", async (call) => {
    await carryOut(world.chain, wallet, (payment.payload as any).authorization);
    await honest(call);
  });
  const first = await client("/cpu", { headers: headerV2(payment) });
  assert.ok([200, 503].includes(first.status), `status ${first.status}`);
  const used = first.status === 200 ? 1 : 0;
  await eventually("the payment is credited", async () => {
    const { tokens } = await (await client("/_tollgate/limits?endpoint=/cpu")).json() as Table;
    return tokens >= 4 - used ? true : undefined;
  });
  await exactly(client, 4 - used);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
});

test("6.3 #27 an authorization whose nonce went elsewhere before us buys nothing", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  const payment = await signV2(wallet, offerV2(denied));
  const { nonce } = (payment.payload as any).authorization;
  world.facilitator.next("settle", async (call) => {
    await carryOut(world.chain, wallet, authorization(wallet, "0x000000000000000000000000000000000000dEaD", "1000", { nonce }));
    await honest(call);
  });
  const first = await client("/cpu", { headers: headerV2(payment) });
  assert.ok([402, 503].includes(first.status), `status ${first.status}`);
  await eventually("the offer stands again", async () => (await client("/cpu")).status === 402 ? true : undefined);
  await exactly(client, 0);
});

const CALLS = { free: { endpoints: { "*": { payment: "always", price: "0.002" } } } };

/** A gate that sells each call, and outlives its process. */
async function mortal(): Promise<{ gate: Gate; end(): Promise<void> }> {
  const persist = await mkdtemp(join(tmpdir(), "tollgate-"));
  const gate = await world.gate({ persist, plans: CALLS, payment: { settle_timeout: "2s" } });
  return {
    gate,
    end: async () => {
      await gate.stop();
      await rm(persist, { recursive: true, force: true });
    },
  };
}

for (const [when, verb] of [["after it was verified", "verify"], ["after it was settled", "settle"]] as const) {
  test(`6.3 #15 killed ${when}, a payment for one call calls the origin once and has its answer`, async () => {
    const { gate, end } = await mortal();
    const [client, path] = [gate.client(), `/echo/${verb}`];
    const wallet = await world.chain.wallet();
    const headers = headerV2(await signV2(wallet, offerV2(await client(path))));
    // A gate that is restarted before it is quite dead would wait for the wrong process.
    const killed = new Promise<void>((resolve) => {
      world.facilitator.next(verb, forwardThen(async () => {
        await gate.kill();
        resolve();
      }));
    });
    await assert.rejects(async () => {
      const { status } = await client(path, { headers });
      if (status >= 500) throw new Error(`${status}`);
    });
    await killed;
    await gate.restart();
    const paid = await eventually("the answer is there", async () => {
      const response = await client(path, { headers });
      assert.ok([200, 503].includes(response.status), `status ${response.status}: ${await response.clone().text()}`);
      return response.status === 200 ? response : undefined;
    });
    assert.equal((await paid.json() as Table)["url"], path);
    assert.equal(world.origin.seen.filter(({ url }) => url === path).length, 1);
    assert.equal(await world.chain.balance(wallet.address), 998_000n);
    await end();
  });
}

test("6.3 #15 killed while the origin works, a payment for one call is never settled, calls nothing again, and says so", async () => {
  const { gate, end } = await mortal();
  const [client, path] = [gate.client(), "/slow?ms=60000"];
  const wallet = await world.chain.wallet();
  const headers = headerV2(await signV2(wallet, offerV2(await client(path))));
  const lost = assert.rejects(async () => {
    const { status } = await client(path, { headers });
    if (status >= 500) throw new Error(`${status}`);
  });
  await eventually("the origin is asked", async () => world.origin.seen.some(({ url }) => url === path) ? true : undefined);
  await gate.kill();
  await lost;
  await gate.restart();
  await unavailable(await client(path, { headers }), "payment-pending");
  const told = await eventually("it is told", async () => {
    const response = await client(path, { headers });
    return response.status === 503 ? undefined : response;
  });
  assert.equal((await refusal(told))["reason"], "answer_lost");
  assert.equal(world.origin.seen.filter(({ url }) => url === path).length, 1);
  assert.equal(world.facilitator.calls.settle.length, 0);
  assert.equal(await world.chain.balance(wallet.address), 1_000_000n);
  await end();
});

test("6.3 #14 an answer that was lost costs nothing twice: the same payment again is an ordinary request", async () => {
  const { client } = await poor(gate);
  const wallet = await world.chain.wallet();
  let sent: RequestInit["headers"];
  const losing: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    if (request.headers.has("payment-signature")) sent = { "PAYMENT-SIGNATURE": request.headers.get("payment-signature")! };
    return await client(request);
  };
  await (await payingV2(losing, wallet)(gate.at("/cpu"))).body?.cancel();
  await served(await client("/cpu", { headers: sent! }));
  await exactly(client, 2);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
  assert.equal(world.facilitator.calls.settle.length, 1);
});
