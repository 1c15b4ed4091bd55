// Endpoints that sell each call (`payment: always`): one payment, one call of the origin, one settlement, one answer,
// whatever is lost.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { problem, refusal, served, unavailable } from "./rig/answers.ts";
import type { Wallet } from "./rig/chain.ts";
import { headerV2, offerV2, payingV1, payingV2, settlement, signV2 } from "./rig/clients.ts";
import type { Fetch } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import { answer, forwardThenCut, html } from "./rig/faulty_facilitator.ts";
import { freshAddress } from "./rig/gate.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { decodeReceiptHeader, receiptIsSignedBy } from "./rig/receipts.ts";
import { leavable } from "./rig/wire.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;

const PLANS: Table = {
  free: {
    endpoints: {
      "*": { payment: "always", price: "0.002" },
      "/status/*": { payment: "always", price: "0.003" },
      "/echo/limited": { payment: "always", price: "0.002", fixed_windows: [{ window: "24h", limit: 1 }] },
    },
  },
};

before(async () => {
  world = await startWorld();
  gate = await world.gate({ plans: PLANS, payment: { settle_timeout: "2s" } });
});

after(async () => await world.stop());
beforeEach(async () => await world.facilitator.heal());

let questions = 0;

/** Somebody with a signed payment for a path that nobody has asked for. */
async function payer(path = `/echo/${questions += 1}`): Promise<Payer> {
  const client = gate.client();
  const denied = await client(path);
  await problem(denied.clone(), 402, "payment-required");
  const wallet = await world.chain.wallet();
  return { client, wallet, path, headers: headerV2(await signV2(wallet, offerV2(denied))) };
}

interface Payer {
  client: Fetch;
  wallet: Wallet;
  path: string;
  headers: Record<string, string>;
}

/** How often the origin was asked for that path. */
const asked = (path: string): number => world.origin.seen.filter(({ url }) => url === path).length;

const spent = async ({ wallet }: Payer): Promise<bigint> => 1_000_000n - await world.chain.balance(wallet.address);

for (const [version, paying] of [["v2", payingV2], ["v1", payingV1]] as const) {
  test(`the stock ${version} client pays for each call`, async () => {
    const client = gate.client();
    const wallet = await world.chain.wallet();
    for (let call = 1; call <= 2; call += 1) {
      const paid = await served(await paying(client, wallet)(gate.at(`/echo/${version}`)));
      assert.equal(settlement(paid).success, true);
      assert.match(paid.headers.get("cache-control") ?? "", /private/);
      assert.ok(paid.headers.has("tollgate-session"));
      const signed = decodeReceiptHeader(paid);
      const { public_key } = await (await client("/_tollgate/receipt-key")).json() as Table;
      assert.ok(await receiptIsSignedBy(public_key, signed));
      assert.equal(signed.receipt.payment.amount, "0.002");
      const { headers } = await paid.json() as Table;
      assert.equal(headers["tollgate-payer"].toLowerCase(), wallet.address.toLowerCase());
      assert.equal(await world.chain.balance(wallet.address), 1_000_000n - BigInt(call) * 2000n);
    }
  });
}

test("without a payment nothing passes, and the price is that of one call", async () => {
  const client = gate.client();
  const denied = await client("/echo/unpaid");
  const body = await problem(denied.clone(), 402, "payment-required");
  assert.match(body["detail"], /each call/);
  const [offer] = offerV2(denied).accepts;
  assert.equal(offer!.amount, "2000");
  assert.equal(offer!.extra!["paymentFlow"], undefined, "verify, call, settle is the flow that needs no name");
  assert.equal(asked("/echo/unpaid"), 0);
});

test("the same payment gets the same answer again, to the last byte, and nothing is called or settled twice", async () => {
  const one = await payer();
  const first = await served(await one.client(one.path, { headers: one.headers }));
  const body = await first.text();
  for (let again = 0; again < 3; again += 1) {
    const second = await served(await one.client(one.path, { headers: one.headers }));
    assert.equal(await second.text(), body);
    for (const name of ["x-402-receipt", "payment-response", "content-type", "cache-control"]) {
      assert.equal(second.headers.get(name), first.headers.get(name), name);
    }
  }
  assert.equal(asked(one.path), 1);
  assert.equal(world.facilitator.calls.settle.length, 1);
  assert.equal(await spent(one), 2000n);
});

test("6.3 #2 the same payment fifty times at once calls the origin once, settles once, and all get the one answer in the end", async () => {
  const one = await payer();
  const answers = await Promise.all(Array.from({ length: 50 }, () => one.client(one.path, { headers: one.headers })));
  for (const { status } of answers) assert.ok([200, 503].includes(status), `status ${status}`);
  const bodies = await Promise.all(answers.filter(({ status }) => status === 200).map((response) => response.text()));
  bodies.push(await (await served(await one.client(one.path, { headers: one.headers }))).text());
  assert.equal(new Set(bodies).size, 1);
  assert.equal(asked(one.path), 1);
  assert.equal(world.facilitator.calls.settle.length, 1);
  assert.equal(await spent(one), 2000n);
});

test("6.3 #3 a payment answers no other question, and no other client", async () => {
  const one = await payer();
  await served(await one.client(one.path, { headers: one.headers }));
  for (const path of [`${one.path}?other`, "/echo/elsewhere"]) {
    await problem(await one.client(path, { headers: one.headers }), 409, "payment-used");
  }
  const posted = await one.client(one.path, { headers: one.headers, method: "POST", body: "other" });
  await problem(posted, 409, "payment-used");
  await problem(await gate.client()(one.path, { headers: one.headers }), 409, "payment-used");
  assert.equal(asked(one.path), 1);
  assert.equal(world.facilitator.calls.settle.length, 1);
});

for (const status of [400, 404, 500]) {
  test(`6.3 #13 a call that the origin answers with ${status} is not settled, and the same payment gets that answer again`, async () => {
    const one = await payer(`/status/${status}?${questions += 1}`);
    for (let again = 0; again < 2; again += 1) {
      const failed = await one.client(one.path, { headers: one.headers });
      assert.equal(failed.status, status);
      assert.equal(failed.headers.has("payment-response"), false);
      assert.deepEqual(await failed.json(), { status });
    }
    assert.equal(asked(one.path), 1);
    assert.equal(world.facilitator.calls.settle.length, 0);
    assert.equal(await spent(one), 0n);
  });
}

test("a payment that is refused calls no origin", async () => {
  const one = await payer();
  world.facilitator.next("verify", answer(200, { isValid: false, invalidReason: "insufficient_funds" }));
  await refusal(await one.client(one.path, { headers: one.headers }));
  assert.equal(asked(one.path), 0);
});

test("a settlement that is refused after the call: 402 without the answer, and the same payment calls nothing again", async () => {
  const one = await payer();
  world.facilitator.next("settle", answer(200, { success: false, errorReason: "insufficient_funds", transaction: "", network: "eip155:84532" }));
  for (let again = 0; again < 2; again += 1) {
    const refused = await one.client(one.path, { headers: one.headers });
    const text = await refused.clone().text();
    assert.equal((await refusal(refused))["reason"], "insufficient_funds");
    assert.equal(text.includes("tollgate-payer"), false, "the answer is not in the refusal");
  }
  assert.equal(asked(one.path), 1);
  assert.equal(world.facilitator.calls.settle.length, 1);
});

for (const [what, fault] of [["is cut off", forwardThenCut], ["is nonsense", html(500)]] as const) {
  test(`when the answer to the settlement ${what}: 503, then the same payment gets the answer`, async () => {
    const one = await payer();
    world.facilitator.next("settle", fault);
    await unavailable(await one.client(one.path, { headers: one.headers }));
    await unavailable(await one.client(`${one.path}/new`), "payment-pending");
    const paid = await eventually("the answer is there", async () => {
      const response = await one.client(one.path, { headers: one.headers });
      return response.status === 200 ? response : undefined;
    });
    assert.equal((await paid.json() as Table)["url"], one.path);
    assert.equal(asked(one.path), 1);
    assert.equal(await spent(one), 2000n);
  });
}

test("6.3 #14 a client that goes away while the origin works gets its answer with the same payment", async () => {
  const ip = freshAddress();
  const client = gate.client(ip);
  const path = `/slow?ms=500&${questions += 1}`;
  const wallet = await world.chain.wallet();
  const headers = headerV2(await signV2(wallet, offerV2(await client(path))));
  const lost = leavable(gate, ip, path, headers);
  await eventually("the origin is asked", async () => asked(path) === 1 ? true : undefined);
  lost.leave();
  const paid = await eventually("the answer is there", async () => {
    const response = await client(path, { headers });
    assert.ok([200, 503].includes(response.status), `status ${response.status}: ${await response.clone().text()}`);
    return response.status === 200 ? response : undefined;
  });
  assert.deepEqual(await paid.json(), { slept_ms: 500 });
  assert.equal(asked(path), 1);
  assert.equal(1_000_000n - await world.chain.balance(wallet.address), 2000n);
});

for (const path of ["/big?bytes=1048577", "/stream?count=3&every=50"]) {
  test(`an answer that is not kept (${path}) leaves when it is paid for, and only once`, async () => {
    const one = await payer(`${path}&${questions += 1}`);
    const paid = await served(await one.client(one.path, { headers: one.headers }));
    assert.equal(world.facilitator.calls.settle.length, 1, "it is settled before the first byte leaves");
    assert.ok(paid.headers.has("x-402-receipt-id"));
    assert.ok((await paid.arrayBuffer()).byteLength > 50);
    await problem(await one.client(one.path, { headers: one.headers }), 409, "payment-used");
    assert.equal(asked(one.path), 1);
    assert.equal(await spent(one), 2000n);
  });
}

test("an answer of one MiB is kept whole", async () => {
  const one = await payer(`/big?bytes=1048576&${questions += 1}`);
  for (let again = 0; again < 2; again += 1) {
    const paid = await served(await one.client(one.path, { headers: one.headers }));
    assert.equal((await paid.arrayBuffer()).byteLength, 1_048_576);
  }
  assert.equal(asked(one.path), 1);
});

test("an answer that could not be kept and whose settlement was in doubt is owed: the same payment calls once more", async () => {
  const one = await payer(`/stream?count=2&every=20&${questions += 1}`);
  world.facilitator.next("settle", forwardThenCut);
  await unavailable(await one.client(one.path, { headers: one.headers }));
  const paid = await eventually("the answer is there", async () => {
    const response = await one.client(one.path, { headers: one.headers });
    return response.status === 200 ? response : undefined;
  });
  assert.match(await paid.text(), /"event":1/);
  assert.equal(settlement(paid).success, true);
  await problem(await one.client(one.path, { headers: one.headers }), 409, "payment-used");
  assert.equal(asked(one.path), 2);
  assert.equal(await spent(one), 2000n);
});

test("other limits still hold: a paid call counts, the next is 429 without an offer, and the answer that was paid for stays", async () => {
  const one = await payer("/echo/limited");
  const body = await (await served(await one.client(one.path, { headers: one.headers }))).text();
  const denied = await one.client(one.path);
  assert.equal(denied.headers.has("payment-required"), false);
  await problem(denied, 429, "rate-limited");
  const other = headerV2(await signV2(one.wallet, offerV2(await gate.client()("/echo/limited"))));
  await problem(await one.client(one.path, { headers: other }), 429, "rate-limited");
  assert.equal(await (await served(await one.client(one.path, { headers: one.headers }))).text(), body);
  assert.equal(asked(one.path), 1);
  assert.equal(await spent(one), 2000n);
});

test("calls at once are sold at once: a settlement under way does not hold up the others", async () => {
  const client = gate.client();
  const wallets = await Promise.all(Array.from({ length: 4 }, () => world.chain.wallet()));
  const answers = await Promise.all(wallets.map((wallet, nth) => payingV2(client, wallet)(gate.at(`/echo/many/${nth}`))));
  for (const response of answers) await served(response);
});

test("the bill and the owner's list say what was paid", async () => {
  const one = await payer();
  await served(await one.client(one.path, { headers: one.headers }));
  const bill = await (await one.client("/_tollgate/usage")).json() as Table;
  assert.deepEqual(bill["paid"], { count: 1, amount: "0.002" });
  assert.equal(bill["calls"], 1);
});

for (const [what, endpoint, field] of [
  ["no price", { payment: "always" }, /price/],
  ["a refill", { payment: "always", price: "0.001", refill: 3 }, /refill/],
  ["a sale over the limit as well", { payment: "always", price: "0.001", over_limit: "pay", bucket: { capacity: 1, refill_rate: 1 } }, /over_limit/],
  ["a misspelt value", { payment: "allways", price: "0.001" }, /payment.*allways/],
] as const) {
  test(`a plan that sells each call with ${what} is refused by name`, async () => {
    const wrong = await world.gate({ plans: { free: { endpoints: { "*": endpoint } } } });
    assert.match((await problem(await wrong.client()("/echo"), 500, "misconfigured"))["detail"], field);
    await wrong.stop();
  });
}

test("a plan that sells each call needs payment settings", async () => {
  const wrong = await world.gate({ plans: PLANS, settings: { payment: undefined } });
  assert.match((await problem(await wrong.client()("/echo"), 500, "misconfigured"))["detail"], /payment/);
  await wrong.stop();
});
