// What only a socket can send: methods that `fetch` refuses, fields written twice, huge ones, paths as nobody writes them, and
// what a proxy before the gate would say. The numbers are those of the list in docs/security.md.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { exactly, poor, problem, served } from "./rig/answers.ts";
import { headerV2, offerV2, signV2 } from "./rig/clients.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { answerOf } from "./rig/mpp.ts";
import { sendByHand } from "./rig/wire.ts";
import type { Answered } from "./rig/wire.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

const SECRET = "the-origin-key-of-the-owner";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate({
    settings: { origin_headers: { Authorization: "Bearer {secret:ORIGIN_KEY}" } },
    secrets: { ORIGIN_KEY: SECRET },
  });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

/** Sends by hand as one client, to the worker's own socket. */
async function byHand(): Promise<(method: string, path: string, headers?: string[]) => Promise<Answered>> {
  const [to, ip] = [await gate.direct(), freshAddress()];
  return async (method, path, headers = []) => await sendByHand(to, method, path, headers, ip);
}

const lines = (headers: Record<string, string>): string[] => Object.entries(headers).map(([name, value]) => `${name}: ${value}`);

test("6.3 #16 TRACE is limited and sold like every other method, and shows nobody what the owner adds for the origin", async () => {
  const send = await byHand();
  for (let left = 3; left >= 0; left -= 1) {
    const { status, head, body } = await send("TRACE", "/echo", ["X-Mine: yes"]);
    assert.equal(status, 200, head);
    assert.match(head, new RegExp(`^x-ratelimit-remaining: ${left}$`, "im"));
    // The origin answers as RFC 9110, 9.3.8 has it: with what it got.
    assert.equal(JSON.parse(body).headers["x-mine"], "yes");
    assert.equal(`${head}${body}`.includes(SECRET), false, "the secret is shown");
  }
  const seen = world.origin.seen.length;
  const { status, head } = await send("TRACE", "/echo");
  assert.equal(status, 402);
  assert.match(head, /^payment-required: /im);
  assert.equal(world.origin.seen.length, seen);
  assert.match((await send("GET", "/echo")).head, / 402 /, "it is one bucket");
});

test("6.3 #16 no method reaches the origin unpaid, and CONNECT opens no tunnel", async () => {
  const send = await byHand();
  for (let count = 0; count < 4; count += 1) await send("GET", "/echo");
  const seen = world.origin.seen.length;
  for (const method of ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "PURGE", "QUERY", "LOCK", "MKCOL", "COPY"]) {
    assert.equal((await send(method, "/echo")).status, 402, method);
  }
  for (const target of ["/echo", new URL(world.origin.url).host, "127.0.0.1:22"]) {
    const { status } = await send("CONNECT", target);
    assert.ok(status >= 400, `CONNECT ${target}: ${status}`);
  }
  // No HTTP methods, in spelling or at all.
  for (const method of ["get", "TRACK", "FOO"]) assert.ok((await send(method, "/echo")).status >= 400, method);
  assert.equal(world.origin.seen.length, seen);
});

test("6.3 #16 a payment field that is written twice is a 400, whether the two are the same, and in any case", async () => {
  const { denied } = await poor(gate);
  const offer = offerV2(denied);
  const send = await byHand();
  for (let count = 0; count < 4; count += 1) await send("GET", "/cpu");
  const [one, other] = await Promise.all([0, 1].map(async () => headerV2(await signV2(await world.chain.wallet(), offer))["PAYMENT-SIGNATURE"]!));
  const mpp = await answerOf(await world.chain.wallet(), denied, "evm");
  for (const fields of [
    [`PAYMENT-SIGNATURE: ${one}`, `payment-signature: ${one}`],
    [`PAYMENT-SIGNATURE: ${one}`, `Payment-Signature: ${other}`],
    [`PAYMENT-SIGNATURE: ${one}, ${other}`],
    [`PAYMENT-SIGNATURE: ${one}`, `X-PAYMENT: ${other}`],
    [`PAYMENT-SIGNATURE: ${one}`, `Authorization: ${mpp}`],
    [`Payment-Authorization: ${mpp}`, `Authorization: ${mpp}`],
    [`X-PAYMENT: ${one}`, `Payment-Authorization: ${mpp}`],
  ]) {
    const { status, body } = await send("GET", "/cpu", fields);
    assert.deepEqual([status, JSON.parse(body).type], [400, "/_tollgate/problems/bad-payment"], fields.join().slice(0, 60));
  }
  assert.equal(world.facilitator.calls.verify.length + world.facilitator.calls.settle.length, 0);
});

test("6.3 #17 credentials of up to a megabyte, in every field that one may come in, are refused at once and ask nobody", async () => {
  const send = await byHand();
  for (let count = 0; count < 4; count += 1) await send("GET", "/cpu");
  const seen = world.origin.seen.length;
  for (const size of [16 * 1024 + 4, 64 * 1024, 128 * 1024, 1024 * 1024]) {
    for (const field of ["PAYMENT-SIGNATURE: ", "X-PAYMENT: ", "Authorization: Payment ", "Payment-Authorization: Payment "]) {
      const { status } = await send("GET", "/cpu", [`${field}${"QUJD".repeat(size / 4)}`]).catch(() => ({ status: 431 }));
      assert.ok([400, 402, 413, 429, 431].includes(status), `${field}${size}: ${status}`);
    }
  }
  assert.equal(world.facilitator.calls.verify.length, 0);
  assert.equal(world.origin.seen.length, seen);
  await served(await gate.client()("/cpu"));
});

/** What a proxy before the gate would say, and a client may say just as well. */
const FORWARDED = [
  "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 444", "X-Forwarded-Prefix: /evil", "X-Forwarded-Server: evil.example",
  "Forwarded: for=192.0.2.1;proto=https;host=evil.example", "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1", "True-Client-IP: 192.0.2.1",
  "X-Original-URL: /free", "X-Rewrite-URL: /free", "X-Forwarded-Scheme: https", "X-Url-Scheme: https", "Front-End-Https: on",
];

for (const way of ["through what Miniflare puts before it", "at the worker's own socket"] as const) {
  test(`6.3 #10 no forwarding field changes what an offer, a sign-in or a document names (${way})`, async () => {
    const to = way.startsWith("through") ? gate.url : await gate.direct();
    const ip = freshAddress();
    const send = async (path: string) => await sendByHand(to, "GET", path, FORWARDED, ip);
    for (let left = 3; left >= 0; left -= 1) assert.match((await send("/cpu")).head, new RegExp(`^x-ratelimit-remaining: ${left}$`, "im"));
    const { status, head, body } = await send("/cpu");
    assert.equal(status, 402);
    const [, header] = /^payment-required: (\S+)$/im.exec(head)!;
    const offer = JSON.parse(Buffer.from(header!, "base64").toString("utf8")) as Table;
    assert.equal(offer["resource"].url, `${to}/cpu`);
    const { info } = offer["extensions"]["sign-in-with-x"];
    assert.deepEqual([new URL(info.uri).origin, info.domain], [to, new URL(to).host]);
    for (const { resource } of JSON.parse(body).accepts) assert.equal(resource, `${to}/cpu`);
    assert.match(head, /^www-authenticate: Payment .*realm="127\.0\.0\.1"/im);
    assert.deepEqual(JSON.parse((await send("/_tollgate/openapi.json")).body).servers, [{ url: to }]);
    const limits = JSON.parse((await send("/_tollgate/limits?endpoint=/cpu")).body) as Table;
    assert.equal(limits["client"], `ip:${ip}`);
  });
}

/** Ways to write a whole URL where a path stands, and paths that hide another. */
const TARGETS = (host: string) => [
  `http://${host}/secret`, "http://evil.example/secret", `https://${host}/secret`, `HTTP://${host.toUpperCase()}/secret`, "//secret", "///secret", "/.//secret",
  "/x/..;/secret", "/secret%20", "/secret%09", "/secret%0d%0a", "/secret?", "/secret??", "/%2e/secret", "/%2E%2E/secret", "/secret%23", "/secret%3f", "/sec%72et",
];

test("6.3 #21 however a path is written, what is paid for is not had for less", async () => {
  const strict = await world.gate({
    plans: { free: { endpoints: { "/secret": { payment: "always", price: "0.05" }, "*": { bucket: { capacity: 1000, refill_rate: 1 } } } } },
  });
  const seen = world.origin.seen.length;
  for (const to of [strict.url, await strict.direct()]) {
    for (const target of TARGETS(new URL(to).host)) {
      const { status } = await sendByHand(to, "GET", target).catch(() => ({ status: 400 }));
      assert.ok([200, 400, 402, 404].includes(status), `${target}: ${status}`);
    }
  }
  for (const { url } of world.origin.seen.slice(seen)) {
    const { pathname } = new URL(url, "http://origin");
    assert.notEqual(decodeURIComponent(pathname).replace(/\/+$/, ""), "/secret", `${url} is to be paid`);
  }
  await strict.stop();
});

test("6.3 #21 nobody gets to the owner's API by another way of writing it", async () => {
  for (const target of ["/_tollgate/%61dmin/plans", "/x/../_tollgate/admin/plans", "/_tollgate//admin/plans", "/_tollgate/admin/../admin/plans", "/_tollgate/admin%2Fplans"]) {
    const { status, body } = await sendByHand(await gate.direct(), "GET", target);
    assert.ok(status >= 400 && !body.includes("\"items\""), `${target}: ${status}`);
  }
});

test("6.3 #20 what other gates call trust reaches no origin, and what is nobody's does", async () => {
  const open = await world.gate({ plans: bucketPlan({ bucket: { capacity: 10, refill_rate: 1 } }) });
  const forged = lines({ "X-Pay-Verified": "true", "X-Pay-From": "0xrich", "x-402-receipt": "e30=", "X-402-Receipt-Id": "rcpt_1", "Payment-Receipt": "e30=", "X-Trusted": "kept" });
  const { body } = await sendByHand(open.url, "GET", "/echo", forged);
  const { headers } = JSON.parse(body) as Table;
  assert.deepEqual(Object.keys(headers).filter((name) => /pay|402|trusted/.test(name)), ["x-trusted"]);
  await open.stop();
});
