// What the owner is told as it happens: signed, once for each thing, again until the owner's server takes it, and never at the
// cost of a request.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exhaust, problem, served, unavailable } from "./rig/answers.ts";
import { headerV2, offerV2, payingV2, signV2 } from "./rig/clients.ts";
import { eventually, sleep } from "./rig/eventually.ts";
import { answer } from "./rig/faulty_facilitator.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { WEBHOOK_SECRET, hangUp, startOwnerServer, status } from "./rig/owner_server.ts";
import type { OwnerServer } from "./rig/owner_server.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let owner: OwnerServer;
let gate: Gate;
let persist: string;

before(async () => {
  world = await startWorld();
  owner = await startOwnerServer();
  persist = await mkdtemp(join(tmpdir(), "tollgate-"));
  const { free } = bucketPlan();
  gate = await world.gate({
    persist,
    plans: { free: { ...free, endpoints: { ...free.endpoints, "/windows": { fixed_windows: [{ window: "24h", limit: 2 }] }, "/quota": { quotas: [{ period: "month", limit: 5 }] } } } },
    secrets: { WEBHOOK_SECRET },
    settings: { webhook: { url: `${owner.url}/hook?for=tests` } },
  });
});

after(async () => {
  await world.stop();
  await rm(persist, { recursive: true, force: true });
});

async function told(account: string, count: number): Promise<Table[]> {
  return await eventually(`the owner is told ${count} things of ${account}`, async () => {
    const notices = owner.of(account);
    return notices.length >= count ? notices : undefined;
  });
}

test("a limit that is exceeded is told once for a client and window, signed, however many requests are denied", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  const answers = await Promise.all(Array.from({ length: 30 }, async () => await client("/windows")));
  assert.equal(answers.filter(({ status }) => status === 429).length, 28);
  const [notice] = await told(`ip:${ip}`, 1);
  const { id, created_at, at, data, ...rest } = notice!;
  assert.deepEqual(rest, { type: "exceeded", account: `ip:${ip}`, path: "/hook?for=tests", method: "POST", signature_is_good: true });
  assert.match(id, /^evt_[0-9a-f]{32}$/);
  assert.ok(Math.abs(Date.parse(created_at) - at) < 60_000);
  const midnight = new Date(Math.ceil(Date.now() / 86_400_000) * 86_400_000).toISOString().replace(".000", "");
  assert.deepEqual(data, { endpoint: "/windows", limit: "request-86400s", resets_at: midnight });
  await client("/windows");
  await sleep(1500);
  assert.equal(owner.of(`ip:${ip}`).length, 1);
});

test("a quota is told when four fifths are used, and when all of it is", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  for (let calls = 0; calls < 5; calls += 1) await served(await client("/quota"));
  const notices = await told(`ip:${ip}`, 2);
  assert.deepEqual(notices.map(({ type, data }) => [type, data.unit, data.period, data.limit, data.used]), [
    ["quota-80", "request", "month", 5, 4],
    ["quota-100", "request", "month", 5, 5],
  ]);
  assert.equal((await client("/quota")).status, 429);
  assert.equal((await told(`ip:${ip}`, 3))[2]!["type"], "exceeded");
});

test("a payment is told once, with its exact amount", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await exhaust(client);
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  const notices = await told(`ip:${ip}`, 2);
  assert.deepEqual(notices.map(({ type }) => type), ["exceeded", "paid"]);
  const { payment, ...data } = notices[1]!["data"];
  assert.deepEqual(data, { endpoint: "*", amount: "0.001", currency: "USDC" });
  const [row] = await eventually("the payment is in the ledger", async () => {
    const rows = await gate.ledger("SELECT id FROM payments WHERE account = ?", `ip:${ip}`);
    return rows.length > 0 ? rows : undefined;
  });
  assert.equal(payment, row!["id"]);
});

test("a payment of unknown outcome is told, and that it went through in the end", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  await exhaust(client);
  const denied = await client("/cpu");
  const headers = headerV2(await signV2(await world.chain.wallet(), offerV2(denied)));
  world.facilitator.next("settle", answer(200, {}));
  await unavailable(await client("/cpu", { headers }));
  const notices = await told(`ip:${ip}`, 3);
  assert.deepEqual(notices.map(({ type }) => type), ["exceeded", "payment-unknown", "paid"]);
  assert.deepEqual(notices[1]!["data"], notices[2]!["data"]);
  assert.notEqual(notices[1]!["id"], notices[2]!["id"]);
});

test("a server that is down, fails, or redirects is tried again with the same id, also after a crash, and no request waits", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  const tries = () => owner.attempts.filter(({ account }) => account === `ip:${ip}`);
  owner.refuse(status(302, { Location: `${owner.url}/elsewhere` }), hangUp);
  await exhaust(client);
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  await eventually("the first attempt failed", async () => tries().length > 0 ? true : undefined);
  // The object answers while its owner's server is not told yet.
  await served(await client("/cpu"));
  await sleep(200);
  await gate.kill();
  await gate.restart();
  await told(`ip:${ip}`, 1);
  assert.ok(tries().length >= 3);
  assert.equal(owner.attempts.some(({ path }) => path === "/elsewhere"), false, "no redirect is followed");
  const paid = () => owner.of(`ip:${ip}`).filter(({ type }) => type === "paid").length;
  await eventually("the payment is told", async () => paid() === 1 ? true : undefined);
  assert.ok(owner.attempts.every((notice) => notice["signature_is_good"]));
});

test("a webhook without its secret, or to where nobody may send, is a misconfigured gate", async () => {
  const none = await world.gate({ settings: { webhook: { url: owner.url } }, secrets: { WEBHOOK_SECRET: undefined } });
  const { detail } = await problem(await none.client()("/cpu"), 500, "misconfigured");
  assert.match(detail, /^WEBHOOK_SECRET: is missing and needed for TOLLGATE\.webhook/);
  await none.stop();
  const plain = await world.gate({ settings: { webhook: { url: "http://owner.example/" } }, secrets: { WEBHOOK_SECRET } });
  assert.match((await problem(await plain.client()("/cpu"), 500, "misconfigured"))["detail"], /^TOLLGATE\.webhook\.url: .*must start with https/);
  await plain.stop();
});
