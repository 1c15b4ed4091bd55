// The official `offer-receipt` extension: what is offered and what was paid is signed with the receipt key, and the official
// verifier accepts it; keys are rotated, and what an older one signed still holds.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { decodePaymentResponseHeader } from "@x402/core/http";
import {
  decodeSignedOffers, extractOffersFromPaymentRequired, extractReceiptFromResponse, verifyOfferSignatureEIP712, verifyReceiptMatchesOffer,
  verifyReceiptSignatureEIP712,
} from "@x402/extensions/offer-receipt";
import type { EIP712SignedOffer, EIP712SignedReceipt } from "@x402/extensions/offer-receipt";
import { generatePrivateKey } from "viem/accounts";
import { poor, served } from "./rig/answers.ts";
import { offerV2, payingV2, settlement } from "./rig/clients.ts";
import type { Gate, Table } from "./rig/gate.ts";
import { decodeReceiptHeader, receiptIsSignedBy } from "./rig/receipts.ts";
import type { SignedReceipt } from "./rig/receipts.ts";
import { startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

let world: World;
let gate: Gate;
let persist: string;

const offers = [{ network: "base" }];

before(async () => {
  world = await startWorld();
  persist = await mkdtemp(join(tmpdir(), "tollgate-"));
  gate = await world.gate({ persist, payment: { offers } });
});

after(async () => {
  await world.stop();
  await rm(persist, { recursive: true, force: true });
});

async function receiptKey(of = gate): Promise<Table> {
  return await (await served(await of.client()("/_tollgate/receipt-key"))).json() as Table;
}

test("each offer of a 402 is signed by the published key, for the resource that was asked for", async () => {
  const { denied } = await poor(gate, "/cpu?query=1");
  const challenge = offerV2(denied);
  const signed = extractOffersFromPaymentRequired(challenge) as EIP712SignedOffer[];
  assert.equal(signed.length, 2);
  for (const [index, offer] of signed.entries()) {
    const { signer, payload } = await verifyOfferSignatureEIP712(offer);
    assert.equal(signer, (await receiptKey())["address"]);
    const { scheme, network, asset, payTo, amount } = challenge.accepts[index]!;
    assert.deepEqual(
      { ...payload, validUntil: undefined },
      { version: 1, resourceUrl: gate.at("/cpu"), scheme, network, asset, payTo, amount, validUntil: undefined },
    );
    assert.ok(payload.validUntil > Date.now() / 1000);
    assert.equal(offer.acceptIndex, index);
  }
  const changed = structuredClone(signed[0]!);
  changed.payload.amount = "999";
  assert.notEqual((await verifyOfferSignatureEIP712(changed)).signer, (await receiptKey())["address"]);
});

test("a settled payment is answered with a receipt that the official verifier accepts", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet();
  const paid = await served(await payingV2(client, wallet)(gate.at("/cpu")));
  const receipt = extractReceiptFromResponse(paid) as EIP712SignedReceipt;
  const { signer, payload } = await verifyReceiptSignatureEIP712(receipt);
  assert.equal(signer, (await receiptKey())["address"]);
  assert.deepEqual({ ...payload, issuedAt: undefined }, {
    version: 1, network: "eip155:84532", resourceUrl: gate.at("/cpu"), payer: wallet.address, issuedAt: undefined,
    transaction: settlement(paid).transaction,
  });
  assert.ok(Math.abs(payload.issuedAt - Date.now() / 1000) < 60);
  const [offer] = decodeSignedOffers(extractOffersFromPaymentRequired(offerV2(denied)));
  assert.equal(verifyReceiptMatchesOffer(receipt, offer!, [wallet.address]), true);
});

test("a refused payment has no receipt", async () => {
  const { client } = await poor(gate);
  const refused = await payingV2(client, await world.chain.wallet(0n))(gate.at("/cpu"));
  assert.equal(refused.status, 402);
  const response = decodePaymentResponseHeader(refused.headers.get("payment-response")!);
  assert.deepEqual([response.success, response.extensions], [false, undefined]);
});

test("after a rotation the key in use comes first, and receipts of the previous one still hold", async () => {
  const { client } = await poor(gate);
  const old = decodeReceiptHeader(await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu"))));
  const before = await receiptKey();
  assert.deepEqual(before["keys"], [{
    id: before["address"].toLowerCase(), status: "current", algorithm: before["algorithm"],
    public_key: before["public_key"], address: before["address"],
  }]);
  await gate.stop();
  gate = await world.gate({
    persist,
    payment: { offers },
    secrets: { RECEIPT_SIGNING_KEY: generatePrivateKey(), PREVIOUS_RECEIPT_KEYS: before["public_key"] },
  });
  const now = await receiptKey();
  assert.notEqual(now["public_key"], before["public_key"]);
  assert.deepEqual(now["keys"].map((key: Table) => [key["public_key"], key["status"]]), [
    [now["public_key"], "current"], [before["public_key"], "previous"],
  ]);
  const kept = await (await served(await gate.client()(`/_tollgate/receipts/${old.receipt.id}`))).json() as SignedReceipt;
  assert.equal(kept.server_public_key, before["public_key"]);
  assert.ok(await receiptIsSignedBy(now["keys"][1].public_key, kept));
  const { client: next } = await poor(gate);
  const fresh = decodeReceiptHeader(await served(await payingV2(next, await world.chain.wallet())(gate.at("/cpu"))));
  assert.ok(await receiptIsSignedBy(now["public_key"], fresh));
});

test("6.3 #22 #29 a receipt that has ended is gone, whatever KV still holds", async () => {
  const { client } = await poor(gate);
  const signed = decodeReceiptHeader(await served(await payingV2(client, await world.chain.wallet())(gate.at("/cpu"))));
  const path = `/_tollgate/receipts/${signed.receipt.id}`;
  const seconds = Math.floor(Date.now() / 1000);
  await gate.putReceipt(signed.receipt.id, { signed, expires_at: seconds + 60 });
  assert.equal((await gate.client()(path)).status, 200);
  await gate.putReceipt(signed.receipt.id, { signed, expires_at: seconds });
  assert.equal((await gate.client()(path)).status, 404);
});
