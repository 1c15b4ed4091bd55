// Authorizations signed by hand, for what the stock clients would not sign or not let a test choose.
import type { PaymentPayload, PaymentRequired } from "@x402/core/types";
import { CHAIN_ID, USDC } from "./chain.ts";
import type { Chain, Wallet } from "./chain.ts";

/** The message of EIP-3009, as x402 writes it. */
export interface Authorization {
  from: `0x${string}`;
  to: `0x${string}`;
  value: string;
  validAfter: string;
  validBefore: string;
  nonce: `0x${string}`;
}

export interface Domain {
  name: string;
  version: string;
  chainId: number;
  verifyingContract: `0x${string}`;
}

/** The domain of the local chain's USDC. */
export const DOMAIN: Domain = { name: "USDC", version: "2", chainId: CHAIN_ID, verifyingContract: USDC };

export function freshNonce(): `0x${string}` {
  return `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex")}`;
}

/** What a wallet signs to pay `to`; a minute from now it is no longer good. */
export function authorization(wallet: Wallet, to: string, value: string, changes: Partial<Authorization> = {}): Authorization {
  return {
    from: wallet.address,
    to: to as `0x${string}`,
    value,
    validAfter: "0",
    validBefore: String(Math.floor(Date.now() / 1000) + 60),
    nonce: freshNonce(),
    ...changes,
  };
}

export async function signTransfer(wallet: Wallet, message: Authorization, domain = DOMAIN): Promise<`0x${string}`> {
  return await wallet.account.signTypedData({
    domain,
    types: {
      TransferWithAuthorization: [
        { name: "from", type: "address" },
        { name: "to", type: "address" },
        { name: "value", type: "uint256" },
        { name: "validAfter", type: "uint256" },
        { name: "validBefore", type: "uint256" },
        { name: "nonce", type: "bytes32" },
      ],
    },
    primaryType: "TransferWithAuthorization",
    message: {
      ...message,
      value: BigInt(message.value),
      validAfter: BigInt(message.validAfter),
      validBefore: BigInt(message.validBefore),
    },
  });
}

/** Signs what the stock client's own guards would not let it sign, good for so many seconds from now. */
export async function signByHand(wallet: Wallet, offer: PaymentRequired, seconds = 60): Promise<PaymentPayload> {
  const accepted = offer.accepts[0]!;
  const validBefore = String(Math.floor(Date.now() / 1000) + seconds);
  const message = authorization(wallet, accepted.payTo, accepted.amount, { validBefore });
  const signature = await signTransfer(wallet, message, {
    name: accepted.extra!["name"] as string,
    version: accepted.extra!["version"] as string,
    chainId: Number(accepted.network.split(":")[1]),
    verifyingContract: accepted.asset as `0x${string}`,
  });
  return { x402Version: 2, resource: offer.resource, accepted, payload: { signature, authorization: message } } as PaymentPayload;
}

/** Has the chain carry an authorization out, as anybody may who holds it; the hash of the transaction. */
export async function carryOut(chain: Chain, wallet: Wallet, message: Authorization): Promise<`0x${string}`> {
  const { from, to, value, validAfter, validBefore, nonce } = message;
  const signature = await signTransfer(wallet, message);
  return await chain.send("transferWithAuthorization", [from, to, BigInt(value), BigInt(validAfter), BigInt(validBefore), nonce, signature]);
}

/** Has the chain cancel the nonce of an authorization. */
export async function cancel(chain: Chain, wallet: Wallet, nonce: `0x${string}`): Promise<`0x${string}`> {
  const signature = await wallet.account.signTypedData({
    domain: DOMAIN,
    types: { CancelAuthorization: [{ name: "authorizer", type: "address" }, { name: "nonce", type: "bytes32" }] },
    primaryType: "CancelAuthorization",
    message: { authorizer: wallet.address, nonce },
  });
  return await chain.send("cancelAuthorization", [wallet.address, nonce, signature]);
}
