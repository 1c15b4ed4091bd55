// Wallets that prove themselves instead of paying: the stock client signs in with what the 402 says, the wallet's own bucket
// serves it and follows it, and a proof that is not right to the last field proves nothing.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exactly, exhaust, poor, problem, remaining, served } from "./rig/answers.ts";
import type { Wallet } from "./rig/chain.ts";
import { newWallet } from "./rig/chain.ts";
import { offerV2, signIn, signInHeader, signingIn } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate();
});

after(async () => await world.stop());

/** Signs in from an address that has nothing left; returns the session token that it gets. */
async function session(wallet: Wallet): Promise<string> {
  const { client, denied } = await poor(gate);
  const answer = await served(await client("/cpu", { headers: signInHeader(await signIn(wallet, offerV2(denied))) }));
  return answer.headers.get("tollgate-session")!;
}

const token = (value: string) => ({ headers: { "Tollgate-Session": value } });

/** Asserts that a request with that proof counted for its address, which has nothing left, and that the 402 says why. */
async function nobody(client: Fetch, headers: Record<string, string>, reason: string): Promise<void> {
  const denied = await client("/cpu", { headers });
  assert.equal(denied.headers.has("tollgate-session"), false);
  const body = await problem(denied, 402, "payment-required");
  assert.equal(body["sign_in_error"].reason, reason);
  assert.equal(typeof body["sign_in_error"].detail, "string");
}

test("the stock client signs in and is served by its wallet's own bucket, without paying", async () => {
  const { client } = await poor(gate, "/echo");
  const wallet = await world.chain.wallet(5000n);
  const answer = await served(await signingIn(client, wallet)(gate.at("/echo")));
  assert.equal(remaining(answer), 3);
  assert.equal(answer.headers.has("payment-response"), false);
  assert.match(answer.headers.get("cache-control") ?? "", /private/);
  assert.equal(await world.chain.balance(wallet.address), 5000n);
  const { headers } = await answer.json() as Table;
  assert.equal(headers["tollgate-client"], `wallet:${wallet.address.toLowerCase()}`);
  for (const name of ["sign-in-with-x", "tollgate-session"]) assert.equal(headers[name], undefined);
  assert.equal((await client("/echo")).status, 402, "the address has nothing more than before");
});

test("a stock client whose wallet has nothing left either pays", async () => {
  const { client } = await poor(gate);
  const wallet = await world.chain.wallet(5000n);
  const fetch = signingIn(client, wallet);
  for (let left = 3; left >= 0; left -= 1) assert.equal(remaining(await served(await fetch(gate.at("/cpu")))), left);
  const paid = await served(await fetch(gate.at("/cpu")));
  assert.ok(paid.headers.has("payment-response"));
  assert.equal(await world.chain.balance(wallet.address), 4000n);
});

test("the offer of a sign-in is in every 402, good for five minutes, and keeps the header small", async () => {
  const { denied } = await poor(gate);
  const { info, supportedChains } = offerV2(denied).extensions!["sign-in-with-x"] as Table;
  const { host, origin } = new URL(gate.url);
  const { nonce, issuedAt, expirationTime, statement, ...rest } = info;
  assert.deepEqual(rest, { domain: host, uri: origin, version: "1" });
  assert.equal(Date.parse(expirationTime) - Date.parse(issuedAt), 300_000);
  assert.match(nonce, /^[0-9a-f]{60}$/);
  assert.equal(typeof statement, "string");
  assert.deepEqual(supportedChains, [{ chainId: "eip155:84532", type: "eip191" }]);
  const size = denied.headers.get("payment-required")!.length;
  // With the signed offer and the name of a payment beside it. Node.js takes 16 kB of fields in all.
  assert.ok(size < 5000, `${size} bytes`);
});

test("a plan for wallets is theirs, and not the addresses'", async () => {
  const { free } = bucketPlan({ bucket: { capacity: 2, refill_rate: 0.001 } });
  const plans = { anonymous: free, standard: bucketPlan({ bucket: { capacity: 6, refill_rate: 0.001 } })["free"] };
  const byKind = await world.gate({
    plans,
    settings: { default_plan: "anonymous", default_plans: { ip: "anonymous", wallet: "standard" } },
  });
  const client = byKind.client();
  await exhaust(client, "/cpu", 2);
  assert.equal(remaining(await served(await signingIn(client, newWallet())(byKind.at("/cpu")))), 5);
  await byKind.stop();
});

test("the wallet's bucket follows it by its session token, from any address", async () => {
  const value = await session(newWallet());
  const [here, there] = [gate.client(), gate.client()];
  assert.equal(remaining(await served(await here("/cpu", token(value)))), 2);
  assert.equal(remaining(await served(await there("/cpu", token(value)))), 1);
  assert.equal(remaining(await served(await there("/cpu"))), 3, "the address has its own");
});

test("the session comes in a cookie as well, which the origin does not see", async () => {
  const value = await session(newWallet());
  const answer = await served(await gate.client()("/echo", { headers: { Cookie: `a=1; tollgate_session=${value}` } }));
  assert.equal(remaining(answer), 2);
  const { headers } = await answer.json() as Table;
  assert.equal(headers.cookie, "a=1");
});

test("a wallet that signs in again has what it left", async () => {
  const wallet = newWallet();
  await session(wallet);
  const { client } = await poor(gate);
  assert.equal(remaining(await served(await signingIn(client, wallet)(gate.at("/cpu")))), 2);
});

test("a sign-in that finds the wallet's bucket empty still hands out a session", async () => {
  const wallet = newWallet();
  const value = await session(wallet);
  const { client, denied } = await poor(gate);
  for (let left = 2; left >= 0; left -= 1) await served(await client("/cpu", token(value)));
  const again = await client("/cpu", { headers: signInHeader(await signIn(wallet, offerV2(denied))) });
  assert.ok(again.headers.has("tollgate-session"));
  assert.match(again.headers.get("cache-control") ?? "", /no-store/);
  const body = await problem(again, 402, "payment-required");
  assert.equal(body["sign_in_error"], undefined);
});

test("6.3 #23 a sign-in counts once, however often and at once it is sent", async () => {
  const { client, denied } = await poor(gate);
  const headers = signInHeader(await signIn(newWallet(), offerV2(denied)));
  const answers = await Promise.all(Array.from({ length: 10 }, () => client("/cpu", { headers })));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.equal(answers.filter((answer) => answer.headers.has("tollgate-session")).length, 1);
  await nobody(client, headers, "invalid_siwx_nonce");
});

test("two wallets may sign in with one offer's nonce, each once", async () => {
  const { client, denied } = await poor(gate);
  for (const wallet of [newWallet(), newWallet()]) {
    const headers = signInHeader(await signIn(wallet, offerV2(denied)));
    assert.equal(remaining(await served(await client("/cpu", { headers }))), 3);
    await nobody(client, headers, "invalid_siwx_nonce");
  }
});

test("6.3 #23 a sign-in whose text is right in all but one field proves nothing", async () => {
  const { client, denied } = await poor(gate);
  const { host, origin } = new URL(gate.url);
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
  for (const [changes, reason] of [
    [{ domain: "evil.example", uri: "http://evil.example/" }, "invalid_siwx_domain_mismatch"],
    [{ domain: new URL(gate.url).hostname, uri: `http://${new URL(gate.url).hostname}/` }, "invalid_siwx_domain_mismatch"],
    [{ uri: `https://${host}/cpu` }, "invalid_siwx_uri_mismatch"],
    [{ chainId: "eip155:8453" }, "invalid_siwx_unsupported_chain"],
    [{ nonce: "a1b2c3d4e5f60718" }, "invalid_siwx_nonce"],
    [{ issuedAt: at(-360) }, "invalid_siwx_issued_at_too_old"],
    [{ issuedAt: at(3600) }, "invalid_siwx_issued_at_in_future"],
    [{ expirationTime: at(-1) }, "invalid_siwx_expired"],
    [{ notBefore: at(60) }, "invalid_siwx_not_yet_valid"],
  ] as const) {
    await nobody(client, signInHeader(await signIn(newWallet(), offerV2(denied), changes)), reason);
  }
  // The offer itself is still good, and so is a URL below the origin.
  const headers = signInHeader(await signIn(newWallet(), offerV2(denied), { uri: `${origin}/cpu` }));
  await served(await client("/cpu", { headers }));
});

test("6.3 #23 a sign-in that was altered after it was signed proves nothing, and does not use up the nonce", async () => {
  const { client, denied } = await poor(gate);
  const good = await signIn(newWallet(), offerV2(denied));
  for (const [altered, reason] of [
    [{ ...good, statement: "Sign in." }, "invalid_siwx_signature"],
    [{ ...good, address: newWallet().address }, "invalid_siwx_signature"],
    [{ ...good, signature: `${good.signature.slice(0, -2)}ff` }, "invalid_siwx_malformed_signature"],
    [{ ...good, signatureScheme: "eip1271" as const }, "invalid_siwx_unsupported_type"],
  ] as const) {
    await nobody(client, signInHeader(altered), reason);
  }
  await nobody(client, { "SIGN-IN-WITH-X": "not base64" }, "invalid_siwx_header");
  await served(await client("/cpu", { headers: signInHeader(good) }));
});

test("6.3 #23 a sign-in at another gate is worth nothing here", async () => {
  const other = await world.gate();
  const { denied } = await poor(other);
  const headers = signInHeader(await signIn(newWallet(), offerV2(denied)));
  const { client } = await poor(gate);
  await nobody(client, headers, "invalid_siwx_domain_mismatch");
  await other.stop();
});

test("a forged session token is nobody's", async () => {
  const value = await session(newWallet());
  const { client } = await poor(gate);
  const [body, tag] = value.split(".") as [string, string];
  const other = Buffer.from(JSON.stringify({ account: "wallet:0xab", expires: Date.now() * 2 })).toString("base64url");
  for (const forged of [`${other}.${tag}`, `${body}.${"A".repeat(43)}`, `${value}A`, "forged"]) {
    await nobody(client, { "Tollgate-Session": forged }, "invalid_session");
    await nobody(client, { Cookie: `tollgate_session=${forged}` }, "invalid_session");
  }
});

test("whoever brings a bad proof and has tokens is served, for its address, and told nothing", async () => {
  const client = gate.client("192.0.2.77");
  const answer = await served(await client("/echo", { headers: { "SIGN-IN-WITH-X": "bad", "Tollgate-Session": "bad" } }));
  assert.equal(remaining(answer), 3);
  assert.equal(answer.headers.has("tollgate-session"), false);
  const { headers } = await answer.json() as Table;
  assert.equal(headers["tollgate-client"], "ip:192.0.2.77");
  await exactly(client, 3);
});

test("without payment nothing is offered, and a sign-in is not looked at", async () => {
  const free = await world.gate({ settings: { payment: undefined }, secrets: { RECEIPT_SIGNING_KEY: undefined, SESSION_KEY: undefined } });
  const { denied } = await poor(gate);
  const headers = signInHeader(await signIn(newWallet(), offerV2(denied)));
  const answer = await served(await free.client()("/cpu", { headers }));
  assert.equal(answer.headers.has("tollgate-session"), false);
  await free.stop();
});
