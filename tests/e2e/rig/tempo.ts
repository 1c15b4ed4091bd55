// A local Tempo chain: anvil in its Tempo mode, with an escrow for payment channels, and payers that hold pathUSD. The stock
// session client opens and tops up channels on it as on the real network.
import { bytesToHex, createClient, createTestClient, encodeFunctionData, getAddress, http, parseAbi } from "viem";
import type { Address, Hex } from "viem";
import { prepareTransactionRequest, readContract, sendRawTransactionSync, signTransaction } from "viem/actions";
import { mnemonicToAccount } from "viem/accounts";
import { tempoModerato } from "viem/tempo/chains";
import { MNEMONIC, startAnvil } from "./anvil.ts";
import type { Wallet } from "./chain.ts";
import { ESCROW_CODE } from "./escrow/code.ts";
import { hold, release } from "./lifetime.ts";
import { readBody, serve } from "./server.ts";

export const TEMPO_CHAIN_ID = 42431;
/** A precompile that holds balances for the accounts that anvil funds. */
export const PATH_USD: Address = getAddress("0x20c0000000000000000000000000000000000000");
export const ESCROW: Address = getAddress("0x5e55100000000000000000000000000000000001");

const ABI = parseAbi([
  "struct Channel { bool finalized; uint64 closeRequestedAt; address payer; address payee; address token; address authorizedSigner; uint128 deposit; uint128 settled; }",
  "function approve(address,uint256)",
  "function balanceOf(address) view returns (uint256)",
  "function getChannel(bytes32) view returns (Channel)",
  "function requestClose(bytes32)",
  "function topUp(bytes32,uint256)",
]);
/** Anvil estimates too little for a call into a token's precompile. */
const GAS = 2_000_000;

export type Tempo = Awaited<ReturnType<typeof startTempo>>;

export async function startTempo() {
  const anvil = await startTempoNode();
  const test = createTestClient({ mode: "anvil", transport: http(anvil.url) });
  await test.setCode({ address: ESCROW, bytecode: ESCROW_CODE });
  let sent = 0;
  const node = async (answer: (call: Call) => object | Promise<object>) => await serve(async (request, response) => {
    const { id, ...call } = JSON.parse((await readBody(request)).toString());
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ ...await answer(call), id }));
  });
  const proxy = await node(async (call) => {
    if (call.method.startsWith("eth_sendRawTransaction")) sent += 1;
    return await ask(anvil.url, withGas(call));
  });
  const idle = await node(async (call) => {
    if (call.method === "eth_sendRawTransaction") return { jsonrpc: "2.0", result: `0x${"11".repeat(32)}` };
    return call.method === "eth_getTransactionReceipt" ? { jsonrpc: "2.0", result: null } : await ask(anvil.url, call);
  });
  let payers = 3;
  const payee = mnemonicToAccount(MNEMONIC, { addressIndex: 2 });
  const tempo = {
    url: proxy.url,
    /** A node that takes every transaction, and none is ever mined. */
    idle: idle.url,
    /** How the stock client reaches the chain. */
    client: () => createClient({ chain: { ...tempoModerato, id: TEMPO_CHAIN_ID }, transport: http(proxy.url), pollingInterval: 100 }),
    /** Somebody with pathUSD. One for each channel: anvil mines one expiring transaction of each. */
    payer(): Wallet {
      const account = mnemonicToAccount(MNEMONIC, { addressIndex: payers++ });
      return { account: account as never, address: account.address, key: "0x" };
    },
    /** Who is paid, with pathUSD for fees. */
    payee: { key: bytesToHex(payee.getHdKey().privateKey!), address: payee.address },
    async balance(address: Address): Promise<bigint> {
      return await readContract(tempo.client(), { address: PATH_USD, abi: ABI, functionName: "balanceOf", args: [address] });
    },
    /** A channel as the escrow has it. */
    async channel(id: string) {
      return await readContract(tempo.client(), { address: ESCROW, abi: ABI, functionName: "getChannel", args: [id as Hex] });
    },
    /** The payer asks the chain to close a channel. */
    async requestClose({ account }: Wallet, id: string): Promise<void> {
      const client = tempo.client();
      const data = encodeFunctionData({ abi: ABI, functionName: "requestClose", args: [id as Hex] });
      const prepared = await prepareTransactionRequest(client, { account, calls: [{ to: ESCROW, data }], feeToken: PATH_USD } as never);
      const { status } = await sendRawTransactionSync(client, { serializedTransaction: await signTransaction(client, prepared as never) });
      if (status !== "success") throw new Error("requestClose was reverted");
    },
    /** How many transactions the node was asked to send. */
    sent: () => sent,
    /** A signed transaction that tops up a channel. */
    async topUp({ account }: Wallet, channel: string, amount: bigint): Promise<string> {
      const calls = [
        { to: PATH_USD, data: encodeFunctionData({ abi: ABI, functionName: "approve", args: [ESCROW, amount] }) },
        { to: ESCROW, data: encodeFunctionData({ abi: ABI, functionName: "topUp", args: [channel as Hex, amount] }) },
      ];
      const client = tempo.client();
      const prepared = await prepareTransactionRequest(client, { account, calls, feeToken: PATH_USD } as never);
      return await signTransaction(client, prepared as never);
    },
    async stop(): Promise<void> {
      release(tempo);
      await Promise.all([proxy.stop(), idle.stop()]);
      await anvil.stop();
    },
  };
  return hold(tempo);
}

type Call = { method: string; params: any[] };

function withGas(call: Call): Call {
  if (call.method !== "eth_fillTransaction" && call.method !== "eth_estimateGas") return call;
  const [transaction, ...rest] = call.params;
  return { ...call, params: [{ ...transaction, gas: `0x${GAS.toString(16)}` }, ...rest] };
}

async function ask(url: string, call: Call): Promise<object> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...call, id: 1, jsonrpc: "2.0" }),
  });
  const answer = await response.json() as object;
  if (process.env["TEMPO_LOGS"]) console.error(call.method, JSON.stringify(call.params).slice(0, 300), JSON.stringify(answer).slice(0, 400));
  return answer;
}

/** Blocks come by the clock: an expiring transaction is for the time at which it is mined. */
async function startTempoNode() {
  const now = String(Math.floor(Date.now() / 1000));
  return await startAnvil(["-n", "tempo", "--chain-id", String(TEMPO_CHAIN_ID), "--block-time", "1", "--timestamp", now, "--accounts", "30"]);
}
