// The scripted part of the demo: one client runs out of free requests, pays for more on the chain, and every claim that the
// gate makes about it is checked against something that is not the gate.
import { formatUnits } from "viem";
import { offerV2, payingV2, settlement } from "../tests/e2e/rig/clients.ts";
import type { Fetch } from "../tests/e2e/rig/clients.ts";
import type { Wallet } from "../tests/e2e/rig/chain.ts";
import { eventually } from "../tests/e2e/rig/eventually.ts";
import type { Gate } from "../tests/e2e/rig/gate.ts";
import { addressOfKey, decodeReceiptHeader, receiptIsSignedBy } from "../tests/e2e/rig/receipts.ts";
import { PAYEE } from "../tests/e2e/rig/world.ts";
import type { World } from "../tests/e2e/rig/world.ts";
import { exchange, expect, fact, good, step, style } from "./page.ts";

/** Alice and Bob call from two addresses set aside for documentation (RFC 5737). */
const ALICE = "198.51.100.7";
const BOB = "203.0.113.9";

interface Actors {
  world: World;
  gate: Gate;
  alice: Fetch;
  wallet: Wallet;
  /** Requests of Alice that reached the origin. */
  served: number;
}

export async function tellStory(world: World, gate: Gate): Promise<void> {
  const wallet = await world.chain.wallet(1_000_000n);
  const actors: Actors = { world, gate, alice: gate.client(ALICE), wallet, served: 0 };
  await runOut(actors);
  await seeThePrice(actors);
  await othersAreUntouched(actors);
  const before = await balances(actors);
  const paid = await pay(actors);
  await spendWhatWasPaid(actors);
  await checkTheReceipt(actors, paid);
  await checkTheBill(actors);
  await checkTheMoney(actors, before);
}

async function runOut(actors: Actors): Promise<void> {
  step("Alice uses up what is free", "The plan gives each client 4 requests at once, and one more every 10 seconds.");
  for (let left = 3; left >= 0; left -= 1) {
    const response = await actors.alice("/cpu");
    exchange("GET /cpu", response.status, `${note(await response.text())}  ${tokens(response)}`);
    expect("status", response.status, 200);
    expect("X-RateLimit-Remaining", response.headers.get("x-ratelimit-remaining"), String(left));
    actors.served += 1;
  }
}

async function seeThePrice({ alice }: Actors): Promise<void> {
  step("The next request is told what more costs", "402 Payment Required, in the forms that x402 clients of both versions read.");
  const response = await alice("/cpu");
  const wait = response.headers.get("retry-after");
  exchange("GET /cpu", response.status, `Retry-After: ${wait}`);
  expect("status", response.status, 402);
  const offer = offerV2(response).accepts[0]!;
  fact("price", style("bold", `$${formatUnits(BigInt(offer.amount), 6)}`) + ` in USDC, for 4 more requests`);
  fact("network", `${offer.network} (Base Sepolia's number; here a chain on this machine)`);
  fact("pay to", offer.payTo);
  fact("or", `wait ${wait} s, for nothing`);
  expect("price", offer.amount, "1000");
  expect("network", offer.network, "eip155:84532");
  expect("payee", offer.payTo, PAYEE);
}

async function othersAreUntouched({ gate }: Actors): Promise<void> {
  step("Bob notices nothing", "Each client has an allowance of its own.");
  const response = await gate.client(BOB)("/cpu");
  exchange("GET /cpu", response.status, tokens(response));
  expect("status", response.status, 200);
}

async function pay(actors: Actors): Promise<Response> {
  step("Alice's client pays and asks again", "A stock client does it by itself: @x402/fetch signs a transfer, the gate has it settled on the chain.");
  const response = await payingV2(actors.alice, actors.wallet)(actors.gate.at("/cpu"));
  exchange("GET /cpu", response.status, tokens(response));
  expect("status", response.status, 200);
  actors.served += 1;
  const { transaction } = settlement(response);
  const receipt = await actors.world.chain.client.getTransactionReceipt({ hash: transaction as `0x${string}` });
  fact("transaction", transaction);
  fact("in block", `${receipt.blockNumber}, ${receipt.status}, gas paid by the facilitator`);
  expect("transaction", receipt.status, "success");
  expect("X-RateLimit-Remaining", response.headers.get("x-ratelimit-remaining"), "3");
  return response;
}

async function spendWhatWasPaid(actors: Actors): Promise<void> {
  step("What was paid for can be used", "Four tokens were bought, one went with the paying request.");
  for (let left = 2; left >= 0; left -= 1) {
    const response = await actors.alice("/cpu");
    exchange("GET /cpu", response.status, tokens(response));
    expect("status", response.status, 200);
    expect("X-RateLimit-Remaining", response.headers.get("x-ratelimit-remaining"), String(left));
    actors.served += 1;
  }
}

async function checkTheReceipt({ alice, wallet }: Actors, paid: Response): Promise<void> {
  step("The receipt holds without trusting the gate", "Signature checked with viem, against the key that the gate publishes.");
  const pinned = await json(alice, "/_tollgate/receipt-key");
  const signed = decodeReceiptHeader(paid);
  const { receipt } = signed;
  fact("receipt", `${receipt.id}: ${receipt.payment.amount} ${receipt.payment.token}, for ${receipt.service.endpoint}`);
  fact("paid by", receipt.payment.payer);
  expect("signature by the published key", await receiptIsSignedBy(pinned.public_key, signed), true);
  good(`signed by ${addressOfKey(pinned.public_key)}`);
  expect("payer", receipt.payment.payer.toLowerCase(), wallet.address.toLowerCase());
  expect("transaction", receipt.payment.transaction, settlement(paid).transaction);
  good("names the transaction that is on the chain");
  const kept = await json(alice, `/_tollgate/receipts/${receipt.id}`);
  expect("the kept receipt's signature", kept.signature, signed.signature);
  good(`kept at /_tollgate/receipts/${receipt.id}`);
}

async function checkTheBill({ alice, gate, served }: Actors): Promise<void> {
  step("The bill says the same", "Usage is metered to the call, and written to the ledger (D1) as absolute totals.");
  const usage = await json(alice, "/_tollgate/usage");
  fact("calls", `${usage.calls}`);
  fact("paid", `${usage.paid.count} × = $${usage.paid.amount}`);
  expect("calls on the bill", usage.calls, served);
  expect("payments on the bill", usage.paid.count, 1);
  expect("amount on the bill", Number(usage.paid.amount), 0.001);
  const rows = await eventually("the usage is in the ledger", async () => {
    const found = await usageRows(gate, `ip:${ALICE}`);
    return found === served ? found : undefined;
  });
  good(`the ledger has ${rows} calls of ip:${ALICE}`);
}

async function checkTheMoney(actors: Actors, before: Balances): Promise<void> {
  step("And the money is where it should be", "Balances read from the token contract, before and after.");
  const after = await balances(actors);
  fact("Alice", `${usd(before.alice)} → ${style("bold", usd(after.alice))}`);
  fact("the API", `${usd(before.payee)} → ${style("bold", usd(after.payee))}`);
  expect("what Alice paid", before.alice - after.alice, 1000n);
  expect("what the API got", after.payee - before.payee, 1000n);
}

type Balances = Awaited<ReturnType<typeof balances>>;

async function balances({ world, wallet }: Actors) {
  return { alice: await world.chain.balance(wallet.address), payee: await world.chain.balance(PAYEE) };
}

async function usageRows(gate: Gate, account: string): Promise<number> {
  const rows = await gate.ledger("SELECT COALESCE(SUM(calls), 0) AS calls FROM usage WHERE account = ?", account);
  return rows[0]!["calls"];
}

async function json(client: Fetch, path: string): Promise<any> {
  const response = await client(path);
  expect(`status of ${path}`, response.status, 200);
  return await response.json();
}

function tokens(response: Response): string {
  return style("dim", `${response.headers.get("x-ratelimit-remaining")} left`);
}

function note(body: string): string {
  return body.slice(0, 60);
}

function usd(atomic: bigint): string {
  return `$${formatUnits(atomic, 6)}`;
}
