// What the gate says of itself and of what is for sale: from the plans in force, in every form, and only where the owner
// wants it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problem, served } from "./rig/answers.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { stopAll } from "./rig/lifetime.ts";
import { startLimits } from "./rig/limits.ts";
import { order, ordered } from "./rig/owner.ts";

const PAYEE = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

const payment = { pay_to: PAYEE, network: "base-sepolia", facilitators: ["http://127.0.0.1:9"] };
const sold = (price: string) => ({ bucket: { capacity: 4, refill_rate: 0.001 }, over_limit: "pay", price });
const plan = (price: string) => ({ name: "Free", endpoints: { "GET /cpu": sold(price), "/files/*": sold("0.01"), "/free": {} } });

let gate: Gate;
let open: Gate;

before(async () => {
  ({ gate } = await startLimits({ plans: { free: plan("0.001") }, settings: { payment } }));
  ({ gate: open } = await startLimits({ plans: { free: plan("0.001") }, settings: { payment, discovery: "root" } }));
});

after(stopAll);

async function document(of: Gate, path: string): Promise<Table> {
  const response = await served(await of.client()(path));
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("cache-control"), "public, max-age=300");
  return await response.json() as Table;
}

test("/offers says what is for sale: endpoint, price, units, methods", async () => {
  const { plan, items, next_cursor } = await document(gate, "/_tollgate/offers");
  assert.deepEqual([plan, next_cursor], ["free", null]);
  assert.deepEqual(items.map(({ endpoint, price, currency, units }: Table) => ({ endpoint, price, currency, units })), [
    { endpoint: "/files/*", price: "0.01", currency: "USDC", units: { request: 4 } },
    { endpoint: "GET /cpu", price: "0.001", currency: "USDC", units: { request: 4 } },
  ]);
  assert.deepEqual(items[1].methods, ["x402", "mpp"]);
});

test("/offers names the methods that the owner takes, signed contexts among them", async () => {
  for (const methods of [["x402"], ["x402", "signed-context"], ["x402", "mpp", "signed-context"]]) {
    const { gate: taking } = await startLimits({ plans: { free: plan("0.001") }, settings: { payment: { ...payment, methods } } });
    const { items } = await document(taking, "/_tollgate/offers");
    assert.deepEqual(items.map((item: Table) => item["methods"]), [methods, methods]);
    const { components } = await document(taking, "/_tollgate/openapi.json");
    const { items: named } = components.schemas.Offers.properties.items.items.properties.methods;
    for (const method of methods) assert.ok(named.enum.includes(method), method);
    await taking.stop();
  }
});

test("what is offered beforehand is what the 402 offers", async () => {
  const client = gate.client();
  for (let nth = 0; nth < 4; nth += 1) await served(await client("/cpu"));
  const denied = await client("/cpu");
  assert.equal(denied.status, 402);
  const challenge = JSON.parse(Buffer.from(denied.headers.get("payment-required")!, "base64").toString("utf8")) as Table;
  const { items } = await document(gate, "/_tollgate/offers");
  assert.deepEqual(items[1].accepts, challenge["accepts"]);
  const { resources, items: listed } = await document(gate, "/_tollgate/.well-known/x402");
  assert.deepEqual(resources, [gate.at("/files"), gate.at("/cpu")]);
  assert.equal(listed[1].resource, challenge["resource"].url);
  assert.deepEqual(listed[1].accepts, challenge["accepts"]);
});

test("/openapi.json marks what can be paid for, as draft-payment-discovery-00 says", async () => {
  const { openapi, paths, servers, info } = await document(gate, "/_tollgate/openapi.json");
  assert.match(openapi, /^3\.1\./);
  assert.ok(info.title !== "" && info.version !== "");
  assert.deepEqual(servers, [{ url: gate.url }]);
  const { get } = paths["/cpu"];
  assert.ok("402" in get.responses);
  const x402 = get["x-payment-info"].offers.find(({ method }: Table) => method === "x402");
  const { description, ...offer } = x402;
  assert.deepEqual(offer, { intent: "charge", method: "x402", amount: "1000", currency: USDC });
  assert.match(description, /0\.001 USDC on eip155:84532: 4 more requests at GET \/cpu/);
  assert.ok("post" in paths["/files/{path}"]);
  assert.equal("/free" in paths, false, "nothing is for sale there");
});

test("/llms.txt tells a reader what it costs and how to pay", async () => {
  const response = await served(await gate.client()("/_tollgate/llms.txt"));
  assert.match(response.headers.get("content-type")!, /^text\/plain/);
  const text = await response.text();
  assert.match(text, /^# \S+\n\n> /);
  assert.match(text, /- `GET \/cpu` .*: 4 more requests for 0\.001 USDC/);
  assert.match(text, /PAYMENT-SIGNATURE/);
});

test("a plan that the owner changes is offered as it is in force, at once", async () => {
  await ordered(gate, "PUT", "/plans/free", plan("0.005"));
  const { items } = await document(gate, "/_tollgate/offers");
  assert.equal(items[1].price, "0.005");
  const { paths } = await document(gate, "/_tollgate/openapi.json");
  assert.equal(paths["/cpu"].get["x-payment-info"].offers[0].amount, "5000");
  await ordered(gate, "PUT", "/plans/free", plan("0.001"));
});

test("the root of the host is the origin's, unless the owner wants the documents there", async () => {
  for (const path of ["/openapi.json", "/llms.txt", "/.well-known/x402"]) {
    await problem(await gate.client()(path), 403, "no-access");
    const shown = await (await served(await open.client()(path))).text();
    assert.equal(shown, await (await served(await open.client()(`/_tollgate${path}`))).text());
    const written = await open.client()(path, { method: "POST" });
    await problem(written, 403, "no-access");
  }
  await problem(await open.client()("/offers"), 403, "no-access");
});

test("every problem that the gate tells of has a page for people and the same for programs", async () => {
  const { type } = await problem(await order(gate, "GET", "/plans", { token: null }), 401, "unauthorized");
  const explained = await document(gate, type);
  assert.equal(explained["status"], 401);
  assert.match(explained["what_to_do"], /ADMIN_TOKEN/);
  assert.ok(explained["meaning"] !== "");
  const page = await served(await gate.client()(type, { headers: { Accept: "text/html,*/*;q=0.8" } }));
  assert.match(page.headers.get("content-type")!, /^text\/html/);
  assert.equal(page.headers.get("vary"), "Accept");
  assert.match(page.headers.get("content-security-policy")!, /^default-src 'none'; style-src 'sha256-/);
  const html = await page.text();
  assert.match(html, /<h1>Unauthorized<\/h1>/);
  for (const [, other] of html.matchAll(/href="([^"]+\/problems\/[^"]+)"/g)) await served(await gate.client()(other!));
  await problem(await gate.client()("/_tollgate/problems/nonsense"), 404, "not-found");
});

test("where the gate describes itself is one of two places", async () => {
  const { gate: wrong } = await startLimits({ plans: { free: plan("0.001") }, settings: { discovery: "everywhere" } });
  const said = await problem(await wrong.client()("/cpu"), 500, "misconfigured");
  assert.match(said["detail"], /TOLLGATE\.discovery: `everywhere` is neither prefix nor root/);
});
