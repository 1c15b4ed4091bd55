// Checks a receipt as somebody would who trusts only the key pinned at the gate's public address: canonical bytes, keccak256
// and public key recovery come from viem, not from the gate's own code.
import { hexToBytes, keccak256, recoverPublicKey, serializeSignature, stringToBytes } from "viem";
import type { Hex } from "viem";
import { publicKeyToAddress } from "viem/accounts";

export interface SignedReceipt {
  receipt: any;
  signature: Hex;
  server_public_key: Hex;
}

export function decodeReceiptHeader(response: Response): SignedReceipt {
  const header = response.headers.get("x-402-receipt");
  if (header === null) throw new Error(`no X-402-Receipt header in the ${response.status}`);
  return JSON.parse(Buffer.from(header, "base64").toString("utf8"));
}

/** The fields in the order in which they are signed. */
const ORDER = {
  id: true, version: true, timestamp: true,
  payment: { payer: true, recipient: true, amount: true, token: true, chainId: true, nonce: true, method: true, network: true, transaction: true },
  service: { endpoint: true, request_hash: true, response_hash: true },
} as const;

type Order = { readonly [field: string]: true | Order };

/** Whether `pinned`, and no other key, signed exactly this receipt. */
export async function receiptIsSignedBy(pinned: Hex, { receipt, signature }: SignedReceipt): Promise<boolean> {
  const hash = keccak256(stringToBytes(JSON.stringify(inOrder(receipt, ORDER))));
  const bytes = hexToBytes(signature);
  const parity = bytes[64];
  if (bytes.length !== 65 || (parity !== 0 && parity !== 1)) return false;
  const signed = serializeSignature({
    r: `0x${signature.slice(2, 66)}`,
    s: `0x${signature.slice(66, 130)}`,
    yParity: parity,
  });
  const key = await recoverPublicKey({ hash, signature: signed });
  return key.toLowerCase() === pinned.toLowerCase();
}

export function addressOfKey(key: Hex): Hex {
  return publicKeyToAddress(key);
}

function inOrder(value: any, order: Order): unknown {
  const extra = Object.keys(value).filter((field) => !(field in order));
  if (extra.length > 0) throw new Error(`the receipt has unknown fields: ${extra.join(", ")}`);
  return Object.fromEntries(Object.entries(order).map(([field, inner]) => [
    field,
    inner === true ? value[field] : inOrder(value[field], inner),
  ]));
}
