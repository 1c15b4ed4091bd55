// Between the gate and the owner's API: what is passed on, what is taken away, what streams, and what happens when the API
// does not answer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exactly, poor, problem, remaining, retryAfter, served, tokens } from "./rig/answers.ts";
import { payingV2, settlement } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { startOrigin } from "./rig/origin.ts";
import { getByHand } from "./rig/wire.ts";
import { bucketPlan, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate({
    settings: { origin_timeout: "500ms", max_body: "100KiB" },
    plans: bucketPlan({ bucket: { capacity: 1000, refill_rate: 1 } }),
  });
});

after(async () => await world.stop());

test("method, path, query, headers and body reach the origin as they were sent", async () => {
  const response = await gate.client()("/echo/a%20b?x=1&x=2&y=%2F", {
    method: "PUT",
    headers: { "Content-Type": "text/x-thing", "X-Mine": "yes", "Authorization": "Bearer not-ours" },
    body: "hello",
  });
  const { method, url, headers, body } = await (await served(response)).json() as Table;
  assert.equal(method, "PUT");
  assert.equal(url, "/echo/a%20b?x=1&x=2&y=%2F");
  assert.equal(body, "hello");
  assert.equal(headers["content-type"], "text/x-thing");
  assert.equal(headers["x-mine"], "yes");
  assert.equal(headers["authorization"], "Bearer not-ours");
});

test("the origin is told who calls, on which plan, and the request's id", async () => {
  const response = await gate.client("192.0.2.5")("/echo");
  const { headers } = await response.json() as Table;
  assert.equal(headers["tollgate-client"], "ip:192.0.2.5");
  assert.equal(headers["tollgate-plan"], "free");
  assert.equal(headers["tollgate-request-id"], response.headers.get("tollgate-request-id"));
  assert.equal(headers["tollgate-payer"], undefined);
});

test("the origin is told who paid", async () => {
  const paying = await world.gate();
  const { client } = await poor(paying, "/echo");
  const wallet = await world.chain.wallet();
  const { headers } = await (await served(await payingV2(client, wallet)(paying.at("/echo")))).json() as Table;
  assert.equal(headers["tollgate-payer"].toLowerCase(), wallet.address.toLowerCase());
  assert.equal(headers["payment-signature"], undefined);
  await paying.stop();
});

test("6.3 #20 a client's payment, trust and connection headers do not reach the origin", async () => {
  const forged = [
    "Tollgate-Client", "Tollgate-Plan", "Tollgate-Payer", "Tollgate-Degraded", "Tollgate-Anything", "Tollgate-Session",
    "PAYMENT-SIGNATURE", "X-PAYMENT", "PAYMENT-RESPONSE", "X-PAYMENT-RESPONSE", "X-402-Receipt", "Payment-Receipt",
    "Proxy-Authorization", "TE", "Keep-Alive", "Upgrade-Insecure-Requests",
  ];
  const { status, body } = await getByHand(gate, "/echo", forged.map((name) => `${name}: forged`));
  assert.equal(status, 200, body);
  const { headers } = JSON.parse(body) as Table;
  const arrived = Object.entries(headers).filter(([, value]) => value === "forged").map(([name]) => name);
  // The last one is nobody's but the origin's: it shows that the others were taken away and did not just get lost.
  assert.deepEqual(arrived, ["upgrade-insecure-requests"]);
});

test("6.3 #20 an origin's payment, trust and connection headers do not reach the client", async () => {
  const response = await served(await gate.client()("/forged"));
  assert.equal(response.headers.get("x-origin"), "kept");
  assert.deepEqual([...response.headers].filter(([, value]) => value === "forged"), []);
  for (const name of ["tollgate-degraded", "settlement-overrides", "tollgate-session", "payment-required"]) {
    assert.equal(response.headers.has(name), false, name);
  }
});

test("secrets of the owner are added for the origin and never shown", async () => {
  const keyed = await world.gate({
    settings: { origin_headers: { "Authorization": "Bearer {secret:ORIGIN_KEY}", "X-Fixed": "1" } },
    secrets: { ORIGIN_KEY: "s3cret" },
  });
  const response = await served(await keyed.client()("/echo", { headers: { Authorization: "Bearer mine" } }));
  const { headers } = await response.json() as Table;
  assert.equal(headers["authorization"], "Bearer s3cret");
  assert.equal(headers["x-fixed"], "1");
  assert.equal([...response.headers].some(([, value]) => value.includes("s3cret")), false);
  await keyed.stop();
});

test("redirects are passed on and not followed", async () => {
  const before = world.origin.seen.length;
  const response = await gate.client()("/redirect");
  assert.equal(response.status, 302);
  assert.equal(response.headers.get("location"), "/elsewhere");
  assert.equal(world.origin.seen.length, before + 1);
});

for (const status of [201, 204, 304, 400, 404, 418, 500, 503]) {
  test(`the origin's ${status} is passed on`, async () => {
    const response = await gate.client()(`/status/${status}`);
    assert.equal(response.status, status);
    assert.ok(response.headers.has("x-ratelimit-remaining"));
  });
}

/** A client that has three tokens left of four that it paid for. */
async function paidClient(gate: Gate): Promise<Fetch> {
  const { client } = await poor(gate);
  await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu")));
  return client;
}

test("6.3 #13 what was paid for is not spent on a call that the origin failed, but on one that it refused", async () => {
  const strict = await world.gate();
  const client = await paidClient(strict);
  for (let count = 0; count < 5; count += 1) {
    const failed = await client("/status/500");
    assert.equal(failed.status, 500);
    assert.equal(remaining(failed), 3);
  }
  assert.equal(remaining(await client("/status/404")), 2);
  await exactly(client, 2);
  await strict.stop();
});

test("6.3 #13 a payment whose own request the origin fails costs nothing but the price", async () => {
  const strict = await world.gate();
  const { client } = await poor(strict);
  const failed = await payingV2(client, await world.chain.wallet())(strict.at("/status/500"));
  assert.equal(failed.status, 500);
  assert.equal(settlement(failed).success, true);
  await exactly(client, 4);
  await strict.stop();
});

test("6.3 #13 without `refund_on_error` a failed call is spent", async () => {
  const stern = await world.gate({ settings: { refund_on_error: false } });
  const client = await paidClient(stern);
  assert.equal((await client("/status/500")).status, 500);
  await exactly(client, 2);
  await stern.stop();
});

test("answers stream: what the origin has sent is there before it sends more", async () => {
  const response = await served(await gate.client()("/stream?count=3&every=300"));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const arrivals: number[] = [];
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += part.value;
    arrivals.push(performance.now());
  }
  assert.equal(text.match(/data: /g)?.length, 3);
  assert.ok(arrivals.length >= 3, `${arrivals.length} pieces`);
  assert.ok(arrivals.at(-1)! - arrivals[0]! >= 300, "all came together");
});

test("requests stream: what the client has sent is with the origin before it sends more", async () => {
  const pieces = new TransformStream<Uint8Array, Uint8Array>();
  const writer = pieces.writable.getWriter();
  const answering = gate.client()("/duplex", { method: "POST", body: pieces.readable, duplex: "half" } as RequestInit);
  await writer.write(new TextEncoder().encode("first"));
  // The origin echoes each piece: the first one is back although the request has not ended.
  const response = await served(await answering);
  const reader = response.body!.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "first");
  await writer.write(new TextEncoder().encode("second"));
  assert.equal(new TextDecoder().decode((await reader.read()).value), "second");
  await writer.close();
  assert.equal((await reader.read()).done, true);
});

test("large answers come through whole", async () => {
  const response = await served(await gate.client()("/big?bytes=5000000"));
  assert.equal((await response.arrayBuffer()).byteLength, 5_000_000);
});

test("6.3 #13 an origin that does not answer in time: 504, and what was paid for is given back", async () => {
  const hasty = await world.gate({ settings: { origin_timeout: "300ms" } });
  const client = await paidClient(hasty);
  const late = await client("/slow?ms=5000");
  assert.ok(retryAfter(late) >= 1);
  await problem(late, 504, "origin-timeout");
  await exactly(client, 3);
  await hasty.stop();
});

test("an origin that answers late but in time is waited for", async () => {
  await served(await gate.client()("/slow?ms=200"));
});

test("a stream may last longer than the origin's timeout", async () => {
  const response = await served(await gate.client()("/stream?count=4&every=250"));
  assert.equal((await response.text()).match(/data: /g)?.length, 4);
});

test("6.3 #13 an origin that cannot be reached: 502, its address is not told, and what was paid for is given back", async () => {
  const gone = await startOrigin();
  const orphan = await world.gate({ settings: { origin: gone.url } });
  const client = await paidClient(orphan);
  await gone.stop();
  for (let count = 0; count < 5; count += 1) {
    const body = await problem(await client("/cpu"), 502, "origin-unreachable");
    assert.equal(JSON.stringify(body).includes(new URL(gone.url).port), false);
  }
  assert.equal(Math.floor(await tokens(client)), 3);
  await orphan.stop();
});

test("a body over `max_body` is 413, by its length or while it comes, and one under it is not", async () => {
  const client = gate.client();
  await served(await client("/echo", { method: "POST", body: "x".repeat(100 * 1024) }));
  await problem(await client("/echo", { method: "POST", body: "x".repeat(100 * 1024 + 1) }), 413, "body-too-large");
  const chunks = new Blob(["x".repeat(80_000), "x".repeat(80_000)]).stream();
  const chunked = await client("/echo", { method: "POST", body: chunks, duplex: "half" } as RequestInit);
  await problem(chunked, 413, "body-too-large");
});

test("a HEAD answer has the origin's headers and no body", async () => {
  const response = await served(await gate.client()("/cpu", { method: "HEAD" }));
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(await response.text(), "");
});

test("compressed answers stay readable", async () => {
  const response = await served(await gate.client()("/cpu", { headers: { "Accept-Encoding": "gzip, br" } }));
  assert.ok("cpu_percent" in (await response.json() as Table));
});
