// Receipts: what they say is what is on the chain, anybody can check them against the published key, and they can be fetched
// again.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { poor, served } from "./rig/answers.ts";
import { payingV1, payingV2, settlement } from "./rig/clients.ts";
import { eventually } from "./rig/eventually.ts";
import type { Table } from "./rig/gate.ts";
import { scratch } from "./rig/limits.ts";
import { addressOfKey, decodeReceiptHeader, receiptIsSignedBy } from "./rig/receipts.ts";
import { PAYEE, startShared } from "./rig/world.ts";

const { world, gate } = await startShared({ persist: await scratch() });

async function pinnedKey(): Promise<Table> {
  return await (await served(await gate.client()("/_tollgate/receipt-key"))).json() as Table;
}

function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

for (const [version, paying] of [["v2", payingV2], ["v1", payingV1]] as const) {
  test(`a ${version} payment has a receipt that says what was paid, for what, and is signed by the published key`, async () => {
    const { client } = await poor(gate, "/echo");
    const wallet = await world.chain.wallet();
    const paid = await served(await paying(client, wallet)(gate.at("/echo"), { method: "POST", body: "the question" }));
    const body = new Uint8Array(await paid.arrayBuffer());
    const signed = decodeReceiptHeader(paid);
    const { receipt } = signed;
    assert.match(receipt.id, /^rcpt_[0-9a-f]{12,}$/);
    assert.equal(receipt.version, "1.1");
    assert.match(receipt.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    assert.ok(Math.abs(Date.parse(receipt.timestamp) - Date.now()) < 30_000);
    const { payer, recipient, nonce, ...payment } = receipt.payment;
    assert.equal(payer.toLowerCase(), wallet.address.toLowerCase());
    assert.equal(recipient.toLowerCase(), PAYEE.toLowerCase());
    assert.match(nonce, /^0x[0-9a-f]{64}$/);
    assert.deepEqual(payment, {
      amount: "0.001",
      token: "USDC",
      chainId: 84532,
      method: "x402",
      network: "eip155:84532",
      transaction: settlement(paid).transaction,
    });
    assert.match(receipt.service.endpoint, /\/echo|^\*$/);
    assert.equal(receipt.service.request_hash, sha256("the question"));
    assert.equal(receipt.service.response_hash, sha256(body));
    assert.equal(signed.server_public_key, (await pinnedKey())["public_key"]);
    assert.ok(await receiptIsSignedBy((await pinnedKey())["public_key"], signed));
  });
}

test("6.3 #22 a receipt that was changed, or is signed by another key, does not hold", async () => {
  const { client } = await poor(gate);
  const signed = decodeReceiptHeader(await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu"))));
  const { public_key } = await pinnedKey();
  const changed = structuredClone(signed);
  changed.receipt.payment.amount = "0.002";
  assert.equal(await receiptIsSignedBy(public_key, changed), false);
  assert.equal(await receiptIsSignedBy(privateKeyToAccount(generatePrivateKey()).publicKey, signed), false);
});

test("the published key says whose it is", async () => {
  const { algorithm, public_key, address } = await pinnedKey();
  assert.equal(typeof algorithm, "string");
  assert.match(public_key, /^0x04[0-9a-f]{128}$/);
  assert.equal(address.toLowerCase(), addressOfKey(public_key).toLowerCase());
});

test("6.3 #22 a receipt can be fetched as soon as the paid answer is there, by anybody, and after a restart", async () => {
  const { client } = await poor(gate);
  const signed = decodeReceiptHeader(await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu"))));
  const path = `/_tollgate/receipts/${signed.receipt.id}`;
  assert.deepEqual(await (await served(await gate.client()(path))).json(), { ...signed, status: "valid" });
  await gate.stop();
  await gate.restart();
  assert.deepEqual(await (await served(await gate.client()(path))).json(), { ...signed, status: "valid" });
});

for (const path of ["/big?bytes=2000000", "/stream?count=3"]) {
  test(`the receipt of an answer that is not held back (${path}) is named, and can be fetched when the answer has ended`, async () => {
    const { client } = await poor(gate);
    const paid = await served(await payingV2(client, await world.chain.wallet())(gate.at(path)));
    const id = paid.headers.get("x-402-receipt-id");
    assert.match(id ?? "", /^rcpt_/);
    assert.equal(paid.headers.has("x-402-receipt"), false);
    const body = new Uint8Array(await paid.arrayBuffer());
    const kept = await eventually("the receipt can be fetched", async () => {
      const response = await gate.client()(`/_tollgate/receipts/${id}`);
      return response.ok ? await response.json() as any : undefined;
    });
    assert.equal(kept.receipt.service.response_hash, sha256(body));
    assert.ok(await receiptIsSignedBy((await pinnedKey())["public_key"], kept));
  });
}

test("an unknown receipt is not found", async () => {
  const response = await gate.client()("/_tollgate/receipts/rcpt_000000000000");
  assert.equal(response.status, 404);
  assert.deepEqual(await response.json(), { error: "Receipt not found", message: "Receipt may have expired or never existed" });
});

test("6.3 #22 receipts cannot be guessed at speed: ten a minute for each address", async () => {
  const client = gate.client();
  for (let count = 0; count < 10; count += 1) {
    assert.equal((await client("/_tollgate/receipts/rcpt_000000000000")).status, 404);
  }
  const denied = await client("/_tollgate/receipts/rcpt_000000000000");
  assert.equal(denied.status, 429);
  assert.ok(denied.headers.has("retry-after"));
});
