// MPP beside x402: the stock mppx client pays the same 402, a challenge pays once and only what it was issued for, one
// authorization is one payment on both wires, and a wallet proves itself without paying.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { BodyDigest } from "mppx";
import { exactly, exhaust, poor, problem, remaining, served } from "./rig/answers.ts";
import { CHAIN_ID, USDC, newWallet } from "./rig/chain.ts";
import { headerV2, offerV2, payingV1, payingV2, signV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { altered, answerOf, authorization, challengeOf, challenges, eitherMpp, payingMpp, provingMpp, receipt } from "./rig/mpp.ts";
import { PAYEE, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

const bucket = { capacity: 4, refill_rate: 0.001 };
const plans = {
  free: {
    name: "Free",
    endpoints: {
      "/dear": { bucket, over_limit: "pay", price: "0.05" },
      "big": { bucket: { ...bucket, capacity: 1 }, over_limit: "pay", price: "0.001" },
      "/twin": { bucket, over_limit: "pay", price: "0.001" },
      "*": { bucket, over_limit: "pay", price: "0.001" },
    },
  },
};

before(async () => {
  world = await startWorld();
  gate = await world.gate({ plans, settings: { endpoints: { big: { match: "POST /echo", json: { model: "big*" } } } } });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

/** Asserts that a credential was refused as that problem, with fresh challenges. */
async function refused(response: Response, type: string, reason: string): Promise<void> {
  const fresh = challenges(response);
  const body = await problem(response, 402, type);
  assert.equal(body["reason"], reason);
  assert.ok(fresh.some(({ method }) => method === "evm"));
  assert.equal(response.headers.has("payment-receipt"), false);
  assert.equal(response.headers.get("cache-control"), "no-store");
}

const send = async (client: Fetch, credential: string, path = "/cpu") => await client(path, authorization(credential));

test("where the body tells the endpoint, a challenge is for that body, and the stock client pays it", async () => {
  const client = gate.client();
  const ask = (body: object, more: Record<string, string> = {}): RequestInit => ({ method: "POST", body: JSON.stringify(body), headers: more });
  const small = { model: "big-1", prompt: "short" };
  await served(await client("/echo", ask(small)));
  const wallet = await world.chain.wallet();
  const denied = await client("/echo", ask(small));
  assert.equal(challengeOf(denied, "evm").digest, BodyDigest.compute(JSON.stringify(small)));
  assert.equal(challengeOf(denied, "tempo").digest, undefined, "a proof is for any request");
  const Authorization = await answerOf(wallet, denied, "evm");
  await refused(await client("/echo", ask({ ...small, prompt: "long" }, { Authorization })), "invalid-challenge", "challenge_of_another_body");
  assert.equal(await world.chain.balance(wallet.address), 1_000_000n);
  await served(await client("/echo", ask(small, { Authorization })));
  const paid = await served(await payingMpp(client, wallet)(gate.at("/echo"), ask(small)));
  assert.deepEqual(JSON.parse((await paid.json() as Table)["body"]), small);
  assert.equal(await world.chain.balance(wallet.address), 998_000n);
});

test("the 402 challenges in MPP's form too: what it costs, at this host, for five minutes", async () => {
  const { denied } = await poor(gate);
  const [charge, proof, ...others] = challenges(denied);
  assert.deepEqual(others, []);
  assert.deepEqual([charge!.method, charge!.intent, proof!.method, proof!.intent], ["evm", "charge", "tempo", "charge"]);
  for (const { realm, expires, opaque, header } of [charge!, proof!]) {
    assert.equal(realm, new URL(gate.url).hostname);
    assert.ok(Math.abs(Date.parse(expires!) - Date.now() - 300_000) < 20_000, expires);
    assert.equal(typeof opaque, "string");
    assert.equal(header, undefined);
  }
  const { amount, currency, recipient, methodDetails } = charge!.request;
  assert.deepEqual([amount, currency, recipient], ["1000", USDC, PAYEE]);
  assert.deepEqual(methodDetails, { chainId: CHAIN_ID, credentialTypes: ["authorization"], decimals: 6 });
  assert.equal(proof!.request["amount"], "0");
  assert.deepEqual(proof!.request["methodDetails"], { chainId: 42431 });
  assert.ok(denied.headers.has("payment-required"), "and x402 beside it");
});

test("the stock mppx client pays and is served", async () => {
  const { client } = await poor(gate, "/echo");
  const wallet = await world.chain.wallet(5000n);
  const earned = await world.chain.balance(PAYEE);
  const paid = await served(await payingMpp(client, wallet)(gate.at("/echo")));
  assert.equal(remaining(paid), 3);
  assert.match(paid.headers.get("cache-control") ?? "", /private/);
  assert.ok(paid.headers.has("x-402-receipt") && paid.headers.has("tollgate-session"));
  assert.equal(paid.headers.has("payment-response"), false, "the receipt is in the payer's own form");
  const { method, status, reference, chainId, timestamp } = receipt(paid);
  assert.deepEqual([method, status, chainId], ["evm", "success", CHAIN_ID]);
  assert.ok(Date.parse(timestamp) > 0);
  const mined = await world.chain.client.getTransactionReceipt({ hash: reference });
  assert.equal(mined.status, "success");
  assert.equal(await world.chain.balance(wallet.address), 4000n);
  assert.equal(await world.chain.balance(PAYEE) - earned, 1000n);
  const { headers } = await paid.json() as Table;
  assert.equal(headers["tollgate-payer"], wallet.address.toLowerCase());
  for (const name of ["authorization", "accept-payment", "payment-authorization"]) assert.equal(headers[name], undefined, name);
  await exactly(client, 3);
  const signed = JSON.parse(Buffer.from(paid.headers.get("x-402-receipt")!, "base64").toString());
  assert.equal(signed.receipt.payment.method, "mpp");
});

test("all stock clients pay one 402, each once", async () => {
  const { client } = await poor(gate);
  const before = world.facilitator.calls.settle.length;
  for (const paying of [payingMpp, payingV2, payingV1]) {
    const wallet = await world.chain.wallet(5000n);
    await served(await paying(client, wallet)(gate.at("/cpu")));
    assert.equal(await world.chain.balance(wallet.address), 4000n);
    await exactly(client, 3);
  }
  assert.equal(world.facilitator.calls.settle.length - before, 3);
});

test("a client whose Authorization is its origin's is told the other field, and its Authorization passes", async () => {
  const { client } = await poor(gate, "/echo");
  const wallet = await world.chain.wallet(5000n);
  const own = { headers: { Authorization: "Bearer of-the-origin" } };
  const denied = await client("/echo", own);
  assert.equal(challengeOf(denied, "evm").header, "Payment-Authorization");
  const paid = await served(await payingMpp(client, wallet)(gate.at("/echo"), own));
  const { headers } = await paid.json() as Table;
  assert.equal(headers["authorization"], "Bearer of-the-origin");
  assert.equal(headers["payment-authorization"], undefined);
  assert.equal(await world.chain.balance(wallet.address), 4000n);
});

test("6.3 #24 a credential pays once, and is told its receipt when it comes again", async () => {
  const { client, denied } = await poor(gate);
  const settled = world.facilitator.calls.settle.length;
  const sent = await answerOf(await world.chain.wallet(), denied, "evm");
  await served(await send(client, sent));
  assert.equal(remaining(await served(await send(client, sent))), 2, "with tokens left it is an ordinary request");
  await exactly(client, 2);
  await problem(await send(client, sent), 409, "payment-used");
  assert.equal(world.facilitator.calls.settle.length - settled, 1);
});

test("6.3 #24 the same credential twenty times at once settles once", async () => {
  const { client, denied } = await poor(gate);
  const settled = world.facilitator.calls.settle.length;
  const wallet = await world.chain.wallet();
  const sent = await answerOf(wallet, denied, "evm");
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(client, sent)));
  for (const { status } of answers) assert.ok([200, 409, 503].includes(status), `status ${status}`);
  assert.equal(world.facilitator.calls.settle.length - settled, 1);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
});

test("6.3 #3 #24 one authorization is one payment on both wires", async () => {
  const { client, denied } = await poor(gate);
  const settled = world.facilitator.calls.settle.length;
  const wallet = await world.chain.wallet();
  const sent = await answerOf(wallet, denied, "evm");
  await served(await send(client, sent));
  await exactly(client, 3);
  const { type, signature, ...authorized } = JSON.parse(Buffer.from(sent.split(" ")[1]!, "base64url").toString()).payload;
  assert.equal(type, "authorization");
  const offer = offerV2(denied);
  const payment = { x402Version: 2, resource: offer.resource, accepted: offer.accepts[0]!, payload: { signature, authorization: authorized } };
  await problem(await client("/cpu", { headers: headerV2(payment as never) }), 409, "payment-used");
  assert.equal(world.facilitator.calls.settle.length - settled, 1);
  assert.equal(await world.chain.balance(wallet.address), 999_000n);
});

test("6.3 #16 #24 two payments in one request are none", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet(5000n);
  const sent = await answerOf(wallet, denied, "evm");
  const x402 = headerV2(await signV2(wallet, offerV2(denied)));
  await problem(await client("/cpu", { headers: { ...x402, Authorization: sent } }), 400, "bad-payment");
  await problem(await client("/cpu", { headers: { "Payment-Authorization": sent, Authorization: sent } }), 400, "bad-payment");
  const proof = await answerOf(newWallet(), denied, "tempo");
  await problem(await client("/cpu", { headers: { ...x402, Authorization: proof } }), 400, "bad-payment");
  assert.equal(await world.chain.balance(wallet.address), 5000n);
  await served(await send(client, sent));
});

test("6.3 #24 a challenge is answered by one payment, whoever pays it", async () => {
  const { client, denied } = await poor(gate);
  const [first, second] = [await world.chain.wallet(5000n), await world.chain.wallet(5000n)];
  const sent = await answerOf(second, denied, "evm");
  await served(await send(client, await answerOf(first, denied, "evm")));
  await exactly(client, 3);
  await refused(await send(client, sent), "invalid-challenge", "used_challenge");
  assert.equal(await world.chain.balance(second.address), 5000n);
});

test("6.3 #24 a challenge pays the endpoint that it was issued for, and its price, alone", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  const sent = await answerOf(wallet, denied, "evm");
  for (const path of ["/dear", "/twin"]) {
    await exhaust(client, path);
    await refused(await send(client, sent, path), "invalid-challenge", "challenge_of_another_endpoint");
  }
  assert.equal(await world.chain.balance(wallet.address), 1_000_000n);
  await served(await send(client, sent));
});

test("6.3 #24 a challenge altered anywhere, or another gate's, is unknown", async () => {
  const { client, denied } = await poor(gate);
  // From an address of its own each: a client may only fail so often.
  const fail = async (credential: string) => await send((await poor(gate)).client, credential);
  const sent = await answerOf(await world.chain.wallet(), denied, "evm");
  for (const change of [
    (challenge: Table) => challenge["id"] = challenge["id"].split("").reverse().join(""),
    (challenge: Table) => challenge["realm"] = "evil.example",
    (challenge: Table) => challenge["request"].amount = "1",
    (challenge: Table) => challenge["request"].recipient = USDC,
    (challenge: Table) => challenge["expires"] = "2099-01-01T00:00:00Z",
    (challenge: Table) => delete challenge["expires"],
    (challenge: Table) => challenge["opaque"] = "e30",
    (challenge: Table) => delete challenge["opaque"],
    (challenge: Table) => challenge["digest"] = "sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE",
    (challenge: Table) => challenge["method"] = "stripe",
  ]) {
    await refused(await fail(altered(sent, ({ challenge }) => change(challenge))), "invalid-challenge", "unknown_challenge");
  }
  const verified = world.facilitator.calls.verify.length;
  const { payload: { nonce } } = JSON.parse(Buffer.from(sent.split(" ")[1]!, "base64url").toString());
  for (const [change, type, reason] of [
    [{ nonce: `0x${"ab".repeat(32)}` }, "verification-failed", "challenge_mismatch"],
    [{ nonce: nonce.toUpperCase().replace("X", "x") }, "invalid-payload", "invalid_payload"],
    [{ value: "999" }, "verification-failed", "invalid_exact_evm_payload_authorization_value"],
    [{ to: USDC }, "verification-failed", "invalid_exact_evm_payload_recipient_mismatch"],
    [{ validBefore: "1700000000" }, "payment-expired", "expired"],
    [{ type: "hash" }, "invalid-payload", "invalid_payload"],
  ] as const) {
    await refused(await fail(altered(sent, ({ payload }) => Object.assign(payload, change))), type, reason);
  }
  assert.equal(world.facilitator.calls.verify.length, verified, "the facilitator was never asked");
  await served(await send(client, sent));
});

test("6.3 #24 a credential that cannot be read is answered with fresh challenges", async () => {
  const { client } = await poor(gate);
  for (const sent of ["Payment %%%", "Payment e30=", "Payment e30", "payment W10", `Payment ${"A".repeat(17_000)}`]) {
    await refused(await send(client, sent), "malformed-credential", "malformed_credential");
  }
  const bare = await client("/cpu", { headers: { "Payment-Authorization": "e30" } });
  await refused(bare, "malformed-credential", "malformed_credential");
});

test("a facilitator's refusal comes with fresh challenges, and what the client may pay is what it is asked", async () => {
  const { client, denied } = await poor(gate);
  const empty = await world.chain.wallet(1n);
  const answer = await send(client, await answerOf(empty, denied, "evm"));
  const body = await problem(answer.clone(), 402, "verification-failed");
  assert.equal(typeof body["reason"], "string");
  const sent = await answerOf(await world.chain.wallet(), answer, "evm");
  await served(await send(client, sent));
});

test("Accept-Payment chooses among the challenges", async () => {
  const { client } = await poor(gate);
  const methods = async (accept: string) =>
    challenges(await client("/cpu", { headers: { "Accept-Payment": accept } })).map(({ method }) => method);
  assert.deepEqual(await methods("evm/charge"), ["evm"]);
  assert.deepEqual(await methods("tempo/*, evm/*;q=0.5"), ["tempo", "evm"]);
  assert.deepEqual(await methods("stripe/charge"), ["evm", "tempo"]);
});

test("the stock client proves its wallet, and is served by the wallet's own bucket, without a chain and without paying", async () => {
  const { client } = await poor(gate, "/echo");
  const wallet = newWallet();
  const answer = await served(await provingMpp(client, wallet)(gate.at("/echo")));
  assert.equal(remaining(answer), 3);
  assert.match(answer.headers.get("cache-control") ?? "", /private/);
  const { method, status, reference, challengeId } = receipt(answer);
  assert.deepEqual([method, status, reference], ["tempo", "success", challengeId]);
  const { headers } = await answer.json() as Table;
  assert.equal(headers["tollgate-client"], `wallet:${wallet.address.toLowerCase()}`);
  assert.equal(headers["authorization"], undefined);
  const session = { headers: { "Tollgate-Session": answer.headers.get("tollgate-session")! } };
  assert.equal(remaining(await served(await gate.client()("/cpu", session))), 2, "its token follows it");
  assert.equal((await client("/echo")).status, 402, "the address has nothing more than before");
});

test("a client that can prove its wallet and pay does the one, and when that is used up the other", async () => {
  const { client } = await poor(gate);
  const wallet = await world.chain.wallet(5000n);
  const fetch = eitherMpp(client, wallet);
  const preferring = (init?: RequestInit) => ({ ...init, headers: { "Accept-Payment": "tempo/charge, evm/charge;q=0.5" } });
  for (let left = 3; left >= 0; left -= 1) assert.equal(remaining(await served(await fetch(gate.at("/cpu"), preferring()))), left);
  assert.equal(await world.chain.balance(wallet.address), 5000n);
  const paid = await served(await fetch(gate.at("/cpu"), preferring()));
  assert.equal(receipt(paid)["method"], "evm");
  assert.equal(await world.chain.balance(wallet.address), 4000n);
});

test("6.3 #23 #24 a proof counts once, however often and at once it is sent", async () => {
  const { client, denied } = await poor(gate);
  const sent = await answerOf(newWallet(), denied, "tempo");
  const answers = await Promise.all(Array.from({ length: 10 }, () => send(client, sent)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.equal(answers.filter((answer) => answer.headers.has("tollgate-session")).length, 1);
  await refused(await send(client, sent), "invalid-challenge", "used_challenge");
});

test("6.3 #23 #24 a proof that is not right to the last member proves nothing, and whoever brings it is told why", async () => {
  const { client, denied } = await poor(gate);
  const sent = await answerOf(newWallet(), denied, "tempo");
  const other = `did:pkh:eip155:42431:${newWallet().address}`;
  for (const [change, type, reason] of [
    [{ source: other }, "verification-failed", "invalid_signature"],
    [{ source: other.replace("42431", "1") }, "invalid-payload", "invalid_source"],
    [{ payload: { type: "proof", signature: "0x12" } }, "invalid-payload", "invalid_payload"],
    [{ payload: { type: "hash", hash: "0x12" } }, "invalid-payload", "invalid_payload"],
  ] as const) {
    const answer = await send(client, altered(sent, (credential) => Object.assign(credential, change)));
    assert.equal((await answer.clone().json() as Table)["sign_in_error"].reason, reason);
    await refused(answer, type, reason);
  }
  await refused(await send(client, altered(sent, ({ challenge }) => challenge.realm = "x")), "invalid-challenge", "unknown_challenge");
  await served(await send(client, sent));
});

test("a proof is not asked of a wallet that is known, nor in the answer to a proof", async () => {
  const { client, denied } = await poor(gate);
  const wallet = newWallet();
  const proven = await served(await send(client, await answerOf(wallet, denied, "tempo")));
  const session = { headers: { "Tollgate-Session": proven.headers.get("tollgate-session")! } };
  for (let left = 2; left >= 0; left -= 1) await served(await client("/cpu", session));
  const known = await client("/cpu", session);
  assert.deepEqual(challenges(known).map(({ method }) => method), ["evm"]);
  const again = await send(client, await answerOf(wallet, await client("/cpu"), "tempo"));
  assert.deepEqual(challenges(again).map(({ method }) => method), ["evm"]);
  assert.ok(again.headers.has("tollgate-session"));
  await problem(again, 402, "payment-required");
});

test("challenges outlive their key by one change of it", async () => {
  const [old, next] = ["11".repeat(32), "22".repeat(32)];
  const before = await world.gate({ plans, secrets: { SESSION_KEY: old } });
  const sent = await answerOf(newWallet(), (await poor(before)).denied, "tempo");
  await before.stop();
  for (const [previous, status] of [[old, 200], [undefined, 402]] as const) {
    const after = await world.gate({ plans, secrets: { SESSION_KEY: next, PREVIOUS_SESSION_KEY: previous } });
    const { client } = await poor(after);
    assert.equal((await send(client, sent)).status, status);
    await after.stop();
  }
});

test("where MPP is not among the methods nothing of it is asked or read", async () => {
  const x402 = await world.gate({ plans, payment: { methods: ["x402"] } });
  const { denied: elsewhere } = await poor(gate);
  const { client, denied } = await poor(x402);
  assert.equal(denied.headers.has("www-authenticate"), false);
  const sent = await answerOf(newWallet(), elsewhere, "tempo");
  await problem(await send(client, sent), 402, "payment-required");
  await x402.stop();
});
