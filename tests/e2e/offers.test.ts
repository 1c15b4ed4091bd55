// Offers of several kinds at once: EIP-3009 on two networks, Permit2, and one that only the facilitator understands; and wallets
// that are contracts. Stock clients choose and pay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { encodePaymentSignatureHeader } from "@x402/core/http";
import type { PaymentPayload, PaymentRequired } from "@x402/core/types";
import { PERMIT2, delegate, deployContractWallet, signForContract } from "./rig/contract_wallet.ts";
import { exactly, poor, problem, refusal, served } from "./rig/answers.ts";
import { headerV2, offerV2, payingV1, payingV2, settlement, signAnyV2 } from "./rig/clients.ts";
import { answer } from "./rig/faulty_facilitator.ts";
import type { Gate } from "./rig/gate.ts";
import { ADMIN_TOKEN } from "./rig/limits.ts";
import { ordered } from "./rig/owner.ts";
import { decodeReceiptHeader } from "./rig/receipts.ts";
import { PAYEE, startWorld } from "./rig/world.ts";
import type { World } from "./rig/world.ts";

const SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const SOLANA_PAYEE = "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4";
const DAI = "0x50c5725949A6F0c72E6C4a641F24049A917DB0Cb";

let world: World;
let gate: Gate;

before(async () => {
  world = await startWorld();
  gate = await world.gate({
    secrets: { ADMIN_TOKEN },
    payment: {
      offers: [
        { network: "base" },
        { asset: { address: DAI, name: "Dai Stablecoin", version: "1", decimals: 18, symbol: "DAI" }, asset_transfer_method: "permit2" },
        { scheme: "exact", network: "solana", asset: MINT, pay_to: SOLANA_PAYEE, decimals: 6, symbol: "USDC", extra: { feePayer: SOLANA_PAYEE } },
      ],
    },
  });
});

after(async () => await world.stop());

test("every offer is in the v2 challenge, and those that all v1 clients can read in the v1 challenge", async () => {
  const { denied } = await poor(gate);
  const { accepts } = offerV2(denied);
  assert.deepEqual(accepts.map(({ network, amount, asset }) => [network, amount, asset]), [
    ["eip155:84532", "1000", "0x036CbD53842c5426634e7929541eC2318f3dCF7e"],
    ["eip155:8453", "1000", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"],
    ["eip155:84532", "1000000000000000", DAI],
    [SOLANA, "1000", MINT],
  ]);
  assert.equal(accepts[2]!.extra?.["assetTransferMethod"], "permit2");
  assert.deepEqual(accepts[3], {
    scheme: "exact", network: SOLANA, amount: "1000", asset: MINT, payTo: SOLANA_PAYEE, maxTimeoutSeconds: 60,
    extra: { feePayer: SOLANA_PAYEE },
  });
  const body = await denied.json() as { accepts: { network: string }[] };
  assert.deepEqual(body.accepts.map(({ network }) => network), ["base-sepolia", "base", "solana"]);
});

for (const [version, paying] of [["v2", payingV2], ["v1", payingV1]] as const) {
  test(`a stock ${version} client pays the offer that it can`, async () => {
    const { client } = await poor(gate);
    const paid = await served(await paying(client, await world.chain.wallet())(gate.at("/cpu")));
    assert.match(settlement(paid).network, /84532|base-sepolia/);
    await exactly(client, 3);
  });
}

/** Only this offer, so that the stock client cannot choose another. */
function only(challenge: PaymentRequired, index: number): PaymentRequired {
  return { ...challenge, accepts: [challenge.accepts[index]!] };
}

test("a Permit2 payment of the stock client passes our checks, goes to the facilitator as it is, and is claimed once", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet(0n);
  const payment = await signAnyV2(wallet, only(offerV2(denied), 2));
  assert.equal((payment.payload["permit2Authorization"] as { spender: string }).spender, PERMIT2.exactProxy);
  await world.facilitator.heal();
  const transaction = `0x${"a1".repeat(32)}`;
  world.facilitator.next("verify", answer(200, { isValid: true, payer: wallet.address }));
  world.facilitator.next("settle", answer(200, { success: true, transaction, network: "eip155:84532", payer: wallet.address }));
  const paid = await served(await client("/cpu", { headers: headerV2(payment) }));
  assert.deepEqual(world.facilitator.calls.settle[0]!.body.paymentPayload.payload, payment.payload);
  const { receipt } = decodeReceiptHeader(paid);
  assert.deepEqual([receipt.payment.amount, receipt.payment.token, receipt.payment.transaction], ["0.001", "DAI", transaction]);
  await exactly(client, 3);
  await problem(await client("/cpu", { headers: headerV2(payment) }), 409, "payment-used");
  assert.equal(world.facilitator.calls.settle.length, 1);
  await world.facilitator.heal();
});

test("a Permit2 payment to somebody else is refused, and the facilitator not asked", async () => {
  const { client, denied } = await poor(gate);
  const wallet = await world.chain.wallet(0n);
  const challenge = only(offerV2(denied), 2);
  const elsewhere = { ...challenge, accepts: [{ ...challenge.accepts[0]!, payTo: wallet.address }] };
  const payment = await signAnyV2(wallet, elsewhere);
  await world.facilitator.heal();
  const sent = { ...payment, accepted: challenge.accepts[0]! };
  await refusal(await client("/cpu", { headers: headerV2(sent) }));
  assert.equal(world.facilitator.calls.verify.length, 0);
});

/** A payment that only a facilitator for Solana understands. */
function solanaPayment(challenge: PaymentRequired, transaction: string): Record<string, string> {
  const payment = { x402Version: 2, accepted: challenge.accepts[3]!, payload: { transaction } } as PaymentPayload;
  return { "PAYMENT-SIGNATURE": encodePaymentSignatureHeader(payment) };
}

function settled(transaction: string) {
  return answer(200, { success: true, transaction, network: SOLANA, payer: SOLANA_PAYEE });
}

test("a payment that is not understood here is passed through, credited once, and named by its own network", async () => {
  const { client, denied } = await poor(gate);
  const headers = solanaPayment(offerV2(denied), "AQIDBA==");
  const signature = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW";
  await world.facilitator.heal();
  world.facilitator.next("verify", answer(200, { isValid: true, payer: SOLANA_PAYEE }));
  world.facilitator.next("settle", settled(signature));
  const paid = await served(await client("/cpu", { headers }));
  assert.deepEqual(world.facilitator.calls.settle[0]!.body.paymentRequirements, offerV2(denied).accepts[3]);
  const { success, transaction, network, payer } = settlement(paid);
  assert.deepEqual({ success, transaction, network, payer }, { success: true, transaction: signature, network: SOLANA, payer: SOLANA_PAYEE });
  const { payment } = decodeReceiptHeader(paid).receipt;
  assert.deepEqual([payment.payer, payment.recipient, payment.chainId, payment.network], [SOLANA_PAYEE, SOLANA_PAYEE, 0, SOLANA]);
  await exactly(client, 3);
  await problem(await client("/cpu", { headers }), 409, "payment-used");
  const id = (await ordered(gate, "GET", "/payments?state=credited"))["items"].find((each: { network: string }) => each.network === SOLANA);
  assert.deepEqual([id.currency, id.amount, id.transaction], ["USDC", "0.001", signature]);

  // The same transaction in another envelope: the payload is another one, the money is not.
  const { client: second, denied: asked } = await poor(gate);
  world.facilitator.next("verify", answer(200, { isValid: true, payer: SOLANA_PAYEE }));
  world.facilitator.always("settle", settled(signature));
  const again = await second("/cpu", { headers: solanaPayment(offerV2(asked), "BAMCAQ==") });
  await problem(again, 503, "payment-pending");
  await world.facilitator.heal();
});

test("a contract wallet (EIP-1271) pays: its signature is never refused here", async () => {
  const { client, denied } = await poor(gate);
  const owner = await world.chain.wallet(0n);
  const contract = await deployContractWallet(world.chain, owner.address);
  const challenge = offerV2(denied);
  const payment = await signForContract(owner, contract, challenge);
  await world.facilitator.heal();
  const before = await world.chain.balance(PAYEE);
  const paid = await served(await client("/cpu", { headers: headerV2(payment) }));
  assert.equal(settlement(paid).payer, contract);
  assert.equal(await world.chain.balance(PAYEE), before + 1000n);
});

test("a contract wallet that does not know the signature is refused by the facilitator, not by us", async () => {
  const { client, denied } = await poor(gate);
  const stranger = await world.chain.wallet(0n);
  const contract = await deployContractWallet(world.chain, (await world.chain.wallet(0n)).address);
  await world.facilitator.heal();
  const payment = await signForContract(stranger, contract, offerV2(denied));
  await refusal(await client("/cpu", { headers: headerV2(payment) }));
  assert.equal(world.facilitator.calls.verify.length, 1);
});

test("a wallet that delegates to a contract (EIP-7702) pays with the stock client", async () => {
  const { client } = await poor(gate);
  const wallet = await world.chain.wallet();
  await delegate(world.chain, wallet);
  const paid = await served(await payingV2(client, wallet)(gate.at("/cpu")));
  assert.equal(settlement(paid).payer, wallet.address);
});
