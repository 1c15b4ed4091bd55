// Several facilitators: who is asked first, for how long, how we prove who asks, and what is said of those that are no use.
import assert from "node:assert/strict";
import { generateKeyPairSync, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { after, before, test } from "node:test";
import { poor, problem, served, unavailable } from "./rig/answers.ts";
import { headerV2, offerV2, signV2 } from "./rig/clients.ts";
import { stall, startFaultyFacilitator } from "./rig/faulty_facilitator.ts";
import type { FaultyFacilitator } from "./rig/faulty_facilitator.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;

before(async () => {
  world = await startWorld();
});

after(async () => await world.stop());

/** What a new client gets for a new payment. */
async function pay(gate: Gate): Promise<Response> {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  return await client("/cpu", { headers: headerV2(await signV2(wallet, offerV2(denied))) });
}

const asked = (facilitator: FaultyFacilitator) => facilitator.calls.verify.length;

test("one that fails is passed over, and asked last for a while", async () => {
  const first = await startFaultyFacilitator(world.real.url);
  await first.down();
  await world.facilitator.heal();
  const gate = await world.gate({ payment: { facilitators: [first.url, world.facilitator.url] } });
  await served(await pay(gate));
  assert.equal(asked(world.facilitator), 1);
  await first.heal();
  await served(await pay(gate));
  assert.deepEqual([asked(first), asked(world.facilitator)], [0, 2], "it is back, and not trusted yet");
  await world.facilitator.down();
  await served(await pay(gate));
  assert.equal(asked(first), 1, "the last is better than none");
  assert.equal(first.calls.settle.length, 1, "who verified settles");
  await world.facilitator.heal();
  await gate.stop();
});

test("all together take no longer than twice what one may", async () => {
  const slow = await Promise.all([1, 2, 3].map(async () => await startFaultyFacilitator(world.real.url)));
  for (const facilitator of slow) facilitator.always("verify", stall);
  const gate = await world.gate({ payment: { facilitators: slow.map(({ url }) => url), verify_timeout: "1s" } });
  await unavailable(await pay(gate), "facilitator-unavailable");
  assert.deepEqual(slow.map(asked), [1, 1, 0]);
  await gate.stop();
});

/** The claims of a token, whose signature is good. */
function claims(authorization: string, key: KeyObject): { header: Table; claims: Table } {
  const [scheme, token] = authorization.split(" ");
  assert.equal(scheme, "Bearer");
  const [header, payload, signature] = token!.split(".") as [string, string, string];
  const algorithm = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  const signed = Buffer.from(`${header}.${payload}`);
  assert.ok(verify(algorithm, signed, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url")), "signature");
  const json = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString("utf8")) as Table;
  return { header: json(header), claims: json(payload) };
}

function ed25519(): { secret: string; key: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { d, x } = privateKey.export({ format: "jwk" });
  const bytes = [d, x].map((part) => Buffer.from(part!, "base64url"));
  return { secret: Buffer.concat(bytes).toString("base64"), key: publicKey };
}

function p256(): { secret: string; key: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { secret: privateKey.export({ format: "pem", type: "pkcs8" }) as string, key: publicKey };
}

for (const [alg, { secret, key }] of [["EdDSA", ed25519()], ["ES256", p256()]] as const) {
  test(`with auth = "cdp" each call brings a token of its own (${alg})`, async () => {
    await world.facilitator.heal();
    const gate = await world.gate({
      payment: { facilitators: [{ url: world.facilitator.url, auth: "cdp" }] },
      secrets: { CDP_API_KEY_ID: "organizations/o/apiKeys/k", CDP_API_KEY_SECRET: secret },
    });
    await served(await pay(gate));
    const nonces = new Set<string>();
    for (const verb of ["verify", "settle"] as const) {
      const [call] = world.facilitator.calls[verb];
      const { header, claims: told } = claims(call!.headers.authorization!, key);
      assert.deepEqual([header["alg"], header["kid"], header["typ"]], [alg, "organizations/o/apiKeys/k", "JWT"]);
      assert.deepEqual(told["uris"], [`POST ${new URL(world.facilitator.url).host}/${verb}`]);
      assert.deepEqual([told["iss"], told["sub"]], ["cdp", "organizations/o/apiKeys/k"]);
      assert.equal(told["exp"] - told["iat"], 120);
      assert.ok(Math.abs(told["iat"] - Date.now() / 1000) < 60);
      nonces.add(header["nonce"]);
    }
    assert.equal(nonces.size, 2);
    await gate.stop();
  });
}

test("a facilitator with auth = \"bearer\" gets the token, one without gets none", async () => {
  for (const [auth, expected] of [["bearer", "Bearer the-token"], ["none", undefined]]) {
    await world.facilitator.heal();
    const gate = await world.gate({
      payment: { facilitators: [{ url: world.facilitator.url, auth }] },
      secrets: { FACILITATOR_TOKEN: "the-token" },
    });
    await served(await pay(gate));
    for (const verb of ["verify", "settle"] as const) assert.equal(world.facilitator.calls[verb][0]!.headers.authorization, expected);
    await gate.stop();
  }
});

test("without its secrets auth = \"cdp\" is a fault of the settings", async () => {
  const gate = await world.gate({ payment: { facilitators: [{ url: world.facilitator.url, auth: "cdp" }] } });
  const { detail } = await problem(await gate.client()("/cpu"), 500, "misconfigured");
  assert.match(detail, /CDP_API_KEY_ID: is missing; a facilitator has auth = "cdp"; CDP_API_KEY_SECRET: is missing/);
  await gate.stop();
});

test("/health?deep=1 says which facilitator does not answer, and which does not support what is offered", async () => {
  const away = await startFaultyFacilitator(world.real.url);
  await away.down();
  await world.facilitator.heal();
  const health = async (payment: Table, path: string): Promise<Table> => {
    const gate = await world.gate({ payment });
    const body = await (await served(await gate.client()(`/_tollgate/health${path}`))).json() as Table;
    await gate.stop();
    return body;
  };
  const fine = await health({}, "?deep=1");
  assert.equal(fine["status"], "ok");
  assert.deepEqual(fine["facilitators"].map(({ status }: Table) => status), ["ok"]);
  const both = { facilitators: [world.facilitator.url, away.url], offers: [{ network: "base" }] };
  const bad = await health(both, "?deep=1");
  assert.equal(bad["status"], "degraded");
  assert.deepEqual(bad["facilitators"].map(({ url, status }: Table) => [new URL(url).origin, status]), [
    [world.facilitator.url, "unsupported"], [away.url, "unreachable"],
  ]);
  assert.ok(bad["facilitators"][0].unsupported.includes("exact on eip155:8453 (x402 v2)"), JSON.stringify(bad));
  const { version, ...shallow } = await health(both, "");
  assert.deepEqual(shallow, { status: "ok", service: "tollgate" });
  assert.match(version, /^\d+\./);
});
